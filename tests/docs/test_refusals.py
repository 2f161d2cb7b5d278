"""Every reason that a call can be refused with is in the documentation, with its status by either
door.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from streamer.api.errors import STATUS, status_code
from streamer.api.http.answers import HTTP_STATUS, TOO_LARGE, TOO_LARGE_STATUS
from streamer.api.refusals import REFUSALS
from streamer.words import errors
from streamer.words.reasons import Halt, Reason
from tests.docs.pages import DOCS, ROOT, plain, table

KINDS = {kind.__name__: kind for kind in STATUS}
ELSEWHERE = ("_proto", "simulator", "client", "cli")


def named() -> Iterator[tuple[str, str]]:
    """(reason, gRPC status) of every error that is made with a reason written out."""
    for path in sorted((ROOT / "streamer").rglob("*.py")):
        if set(path.relative_to(ROOT / "streamer").parts) & set(ELSEWHERE):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        known = {
            node.targets[0].id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        } | {"TOO_LARGE": TOO_LARGE}
        for call in (
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        ):
            name, args = call.func.id, call.args  # type: ignore[attr-defined]
            if name in KINDS and len(args) > 1:
                status, reason = status_code(KINDS[name]("")).name, args[1]
            elif name == "refused" and len(args) > 2 and isinstance(args[0], ast.Attribute):
                status, reason = args[0].attr, args[2]
            else:
                continue
            if isinstance(reason, ast.Attribute):
                yield reason.attr, status
            elif (
                text := reason.value
                if isinstance(reason, ast.Constant)
                else known.get(getattr(reason, "id", ""))
            ):
                yield str(text), status


def test_every_reason_that_is_named_in_the_code_is_in_the_table() -> None:
    found = set(named())
    own = {(kind.reason, status.name) for kind, status in STATUS.items()}
    halts = {str(halt) for halt in (*Halt, Reason.NONE)}
    listed = {(reason, status.name) for reason, (status, _) in REFUSALS.items()}
    assert {(reason, status) for reason, status in found if reason not in halts} - own <= listed
    assert listed - {(errors.StreamerError.reason, "INTERNAL")} <= found


def test_the_page_has_each_with_its_status_once() -> None:
    said = table(DOCS / "reasons.md", "reason", "gRPC status", "HTTP")
    rows = {plain(row[0]): (plain(row[1]), int(row[2])) for row in said.rows}
    assert len(rows) == len(said.rows)
    for reason, (status, _) in REFUSALS.items():
        assert rows[reason] == (
            status.name,
            TOO_LARGE_STATUS if reason == TOO_LARGE else HTTP_STATUS[status],
        )
    assert {kind.reason for kind in STATUS} | set(REFUSALS) == set(rows)
