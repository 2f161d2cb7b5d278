"""Writes the tables of the documentation from the code (`make docs`); `--check` only compares.

A page keeps its own words; what lies between `<!-- generated: NAME -->` and `<!-- end -->` is
replaced. Nothing here is written by hand twice.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from streamer.api.errors import STATUS
from streamer.api.http.answers import HTTP_STATUS, TOO_LARGE, TOO_LARGE_STATUS
from streamer.api.refusals import REFUSALS
from streamer.api.scopes import SCOPES, allows
from streamer.config import OPTIONS
from streamer.core import payment, stream
from streamer.nodes.permissions import FOR_INVOICES, NEEDED, bake_command
from streamer.service.reports import DaemonReport
from streamer.simulator.control.control import FAULTS
from streamer.simulator.lnrpc.methods import streaming_methods, unary_methods
from streamer.simulator.network.drive import Simulation
from streamer.simulator.network.lightning_node import LightningNode
from streamer.watch.metrics import Metrics
from streamer.words.apikey import Scope

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
MARKED = re.compile(r"(<!-- generated: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
KINDS = {"Count": "counter", "Spread": "histogram", "Gauges": "gauge"}


def table(headers: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown; bars inside cells are escaped."""
    head = list(headers)
    lines = [
        head,
        ["---"] * len(head),
        *([cell.replace("|", "\\|") for cell in row] for row in rows),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def options() -> str:
    """Every option, in the order of the table that defines them."""
    rows = (
        (f"`{option.key}`", option.kind, _code(option.default), option.doc) for option in OPTIONS
    )
    return table(("option", "kind", "default", "what it is"), rows)


def _code(text: str) -> str:
    return text if text == "–" or " " in text else f"`{text}`"


def metrics() -> str:
    """Every series that /metrics can show."""
    kept = Metrics("", "")
    kept.watch(lambda: DaemonReport(problems=(), stopped_by=(), nodes=()), dict)
    rows = []
    for series in kept._shelf._series:
        labels = ", ".join(f"`{label}`" for label in series.labels) or "–"
        rows.append((f"`{series.name}`", KINDS[type(series).__name__], labels, series.doc))
    return table(("metric", "type", "labels", "what it counts"), rows)


def errors() -> str:
    """Every reason of a refusal, and its status by either door: first those of the errors, then the
    more particular ones.
    """
    rows = []
    for kind, status in STATUS.items():
        first = (kind.__doc__ or "").strip().splitlines()[0]
        rows.append((f"`{kind.reason}`", f"`{status.name}`", str(HTTP_STATUS[status]), first))
    for reason, (status, says) in REFUSALS.items():
        http = TOO_LARGE_STATUS if reason == TOO_LARGE else HTTP_STATUS[status]
        rows.append((f"`{reason}`", f"`{status.name}`", str(http), says))
    return table(("reason", "gRPC status", "HTTP", "what it says"), rows)


def faults() -> str:
    """Every fault of the simulator and what it takes."""
    rows = []
    for name, fault in FAULTS.items():
        takes = "; ".join(
            f"`{key}={json.dumps(default)}` {about}"
            for key, (_, default, about) in fault.parameters.items()
        )
        rows.append((f"`{name}`", fault.about, takes or "–"))
    return table(("fault", "what happens", "what it takes"), rows)


def calls() -> str:
    """Every method that a simulated node answers, by service."""
    # nobody is asked anything: only the names are read
    simulation, node = cast(Simulation, SimpleNamespace(network=None)), LightningNode("", b"")
    found: dict[str, list[str]] = {"lnrpc.State": ["GetState", "SubscribeState"]}
    for path in (*unary_methods(simulation, node, b""), *streaming_methods(simulation, node)):
        _, service, name = path.split("/")
        found.setdefault(service, []).append(name)
    return table(
        ("service", "methods"),
        ((f"`{service}`", ", ".join(sorted(names))) for service, names in sorted(found.items())),
    )


def scopes() -> str:
    """Every method × every scope."""
    words = [scope.value for scope in Scope]
    rows = [
        (
            f"`{method}`",
            *("✓" if allows(frozenset({Scope(word)}), method) else "" for word in words),
        )
        for method in SCOPES
    ]
    return table(("method", *(f"`{word}`" for word in words)), rows)


def source_files() -> list[Path]:
    """All of streamer/ that is written by hand."""
    return [
        path for path in sorted((ROOT / "streamer").rglob("*.py")) if "_proto" not in path.parts
    ]


def files() -> str:
    """Every file with the first paragraph of its docstring."""
    rows = []
    for path in source_files():
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        rows.append((f"`{path.relative_to(ROOT)}`", " ".join(doc.partition("\n\n")[0].split())))
    return table(("file", "what it is"), rows)


def floors() -> str:
    """The floors of import-linter's contract, from the top, and what it forbids besides."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
    whole, *others = (contract for contract in contracts if "layers" in contract)
    rows = [f"1. {_modules(layer)}\n" for layer in whole["layers"]]
    inside = [
        f"- `{contract['containers'][0].removeprefix('streamer.').replace('.', '/')}/`:"
        f" {'; '.join(map(_modules, contract['layers']))}.\n"
        for contract in others
    ]
    besides = [f"- {contract['name']}.\n" for contract in contracts if "layers" not in contract]
    parts = (
        "".join(rows),
        "Inside each, from the top:\n\n" + "".join(inside),
        "And besides:\n\n" + "".join(besides),
    )
    return "\n" + "\n".join(parts) + "\n"


def stream_life() -> str:
    """The table of a stream's life as a diagram."""
    return _diagram((before, after, move.value) for (before, move), after in stream.TABLE.items())


def payment_life() -> str:
    """The same of a payment, with what each move does to its reserve; what changes nothing is left
    out.
    """
    moves = (
        (before, after, event.value, money)
        for (before, event), (after, money) in payment.TABLE.items()
    )
    seen = (
        (before, after, event, money)
        for before, after, event, money in moves
        if before is not after or money is payment.Money.REFUND
    )
    return _diagram(
        (before, after, f"{event} ({money.value})") for before, after, event, money in seen
    )


def _diagram(moves: Iterable[tuple[str, str, str]]) -> str:
    """A state diagram (Mermaid), the moves between two states in one arrow."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for before, after, what in moves:
        arrows.setdefault((before, after), []).append(what)
    first = next(iter(arrows))[0]
    lines = [
        f"    {before} --> {after}: {', '.join(names)}" for (before, after), names in arrows.items()
    ]
    return "\n".join(("```mermaid", "stateDiagram-v2", f"    [*] --> {first}", *lines, "```", ""))


def _modules(layer: str) -> str:
    return ", ".join(f"`{name.strip(' ()')}`" for name in layer.split("|"))


def bake() -> str:
    """How to bake the macaroon that is enough."""
    return f"```sh\n{bake_command()}\n```\n"


def permissions() -> str:
    """Each permission on a line of its own."""
    return "".join(f"- `{method}`\n" for method in NEEDED)


def invoice_permissions() -> str:
    """Each of those that only invoices need."""
    return "".join(f"- `{method}`\n" for method in FOR_INVOICES)


PARTS: dict[str, Callable[[], str]] = {
    "options": options,
    "metrics": metrics,
    "errors": errors,
    "scopes": scopes,
    "faults": faults,
    "calls": calls,
    "files": files,
    "floors": floors,
    "stream_life": stream_life,
    "payment_life": payment_life,
    "bake": bake,
    "permissions": permissions,
    "invoice_permissions": invoice_permissions,
}


def filled(text: str) -> str:
    """The page with every generated part made anew. KeyError for a part that does not exist."""
    return MARKED.sub(lambda found: found[1] + PARTS[found[2]]() + found[4], text)


def main() -> None:
    """Write all pages, or with --check exit 1 naming those that are out of date."""
    stale = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if filled(text) != text:
            stale.append(str(page.relative_to(ROOT)))
            if "--check" not in sys.argv:
                page.write_text(filled(text), encoding="utf-8")
    if stale and "--check" in sys.argv:
        raise SystemExit(f"not what the code says: {', '.join(stale)}; run `make docs`")


if __name__ == "__main__":
    main()
