"""What the documentation lists is what the code has: no more, no less, and nothing stale."""

from __future__ import annotations

import re
import runpy
import tomllib
from configparser import ConfigParser
from operator import attrgetter
from pathlib import Path
from pkgutil import resolve_name

import pytest

from streamer.cli import NOUNS
from streamer.config import OPTIONS, load_config
from streamer.core.retry import DEFAULT_BACKOFF_NS, FIRST_BACKOFF_NS
from streamer.core.schedule import MOST_SEGMENTS
from streamer.core.switch import DURABLE_HALTS
from streamer.nodes.permissions import FOR_INVOICES, NEEDED, bake_command
from streamer.run.daemon import DRAIN_SECONDS
from streamer.service.invoices import MAX_LISTED
from streamer.service.paying import PAY_SECONDS
from streamer.service.reports import DaemonReport
from streamer.watch.metrics import Metrics
from streamer.words.money import DAY_NS, SECOND_NS
from streamer.words.reasons import DAEMON_HALTS, Halt, Reason
from streamer.words.settings import InvoiceSettings, NodeSettings, SpendLimit, StreamSettings
from tests.docs.pages import DOCS, PAGES, ROOT, blocks, plain, table
from tests.docs.texts import GAP, spoken, texts
from tests.mutations.score import explained

REASONS = DOCS / "reasons.md"
generate = runpy.run_path(str(DOCS / "generate.py"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_generated_tables_are_current(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert generate["filled"](text) == text, "run `make docs`"


def test_every_option_file_and_metric_is_there() -> None:
    assert [
        plain(cell) for cell in table(DOCS / "configuration.md", "option").column("option")
    ] == [option.key for option in OPTIONS]
    files = [
        plain(cell) for cell in table(DOCS / "architecture.md", "file", "what it is").column("file")
    ]
    handmade = [path for path in (ROOT / "streamer").rglob("*.py") if "_proto" not in path.parts]
    assert files == [str(path.relative_to(ROOT)) for path in sorted(handmade)]
    shown = Metrics("1", "lnd")
    shown.watch(lambda: DaemonReport(problems=(), stopped_by=(), nodes=()), dict)
    exposed = re.findall(r"^# TYPE (\w+) \w+$", shown.render().decode(), re.MULTILINE)
    assert sorted(
        plain(cell) for cell in table(DOCS / "metrics.md", "metric").column("metric")
    ) == sorted(exposed)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_of_metrics_and_options_in_prose_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    known = {plain(cell) for cell in table(DOCS / "metrics.md", "metric").column("metric")}
    assert set(re.findall(r"\bstreamer_(?!proto)[a-z_]+", text)) <= known, page
    parts = {option.key.split(".")[0] for option in OPTIONS if "." in option.key}
    named = set(re.findall(rf"`((?:{'|'.join(parts)})\.[a-z_]+)`", text))
    others = {path.name for path in (ROOT / "streamer").rglob("*")}
    assert {name for name in named if name not in others} <= {option.key for option in OPTIONS}


def test_every_reason_with_its_first_back_off() -> None:
    said = table(REASONS, "reason", "what it means")
    assert [plain(cell) for cell in said.column("reason")] == [
        str(reason) for reason in Reason if reason
    ]
    back_offs = {
        plain(row[0]): int(found[1])
        for row in said.rows
        if (found := re.search(r"first back-off (\d+) s", row[2]))
    }
    expected = {str(reason): wait_ns // SECOND_NS for reason, wait_ns in FIRST_BACKOFF_NS.items()}
    assert back_offs == {**expected, "TIMEOUT": DEFAULT_BACKOFF_NS // SECOND_NS}


def test_every_halt_with_what_it_stops() -> None:
    said = table(REASONS, "reason", "stops")
    assert [plain(cell) for cell in said.column("reason")] == [str(halt) for halt in Halt]
    for name, stops, _, lifts in said.rows:
        halt = Halt(plain(name))
        assert (stops == "the daemon") == (halt in DAEMON_HALTS), halt
        if "outlives a restart" in lifts:
            assert halt in DURABLE_HALTS


def test_numbers_in_prose() -> None:
    exactly = (DOCS / "exactly-once.md").read_text(encoding="utf-8")
    assert f"waits up to {DRAIN_SECONDS:.0f} seconds" in exactly
    assert (
        f"`streams.in_doubt_after` ({StreamSettings().in_doubt_after_ns // (60 * SECOND_NS)}"
        " minutes)" in exactly
    )
    assert (
        f"`node.ghost_after` ({NodeSettings().ghost_after_ns // (60 * SECOND_NS)} minutes)"
        in exactly
    )
    assert (
        "`node.orphan_write_off_after`"
        f" ({NodeSettings().orphan_write_off_after_ns // (3600 * SECOND_NS)} hours)" in exactly
    )
    streams, defaults = (DOCS / "streams.md").read_text(encoding="utf-8"), StreamSettings()
    assert (
        f"{defaults.fee_limit_ppm // 10_000} % of its amount (`--fee-limit-ppm`), or"
        f" {defaults.fee_floor_msat // 1000} sat" in streams
    )
    assert (
        f"(`--catch-up`, {(defaults.catch_up_ns or 0) // (60 * SECOND_NS)} minutes unless you say"
        " otherwise" in streams
    )
    assert f"`streams.stall_after` failures in a row ({defaults.stall_after}; " in streams
    assert f"Up to {MOST_SEGMENTS} rates are kept apart" in streams
    assert f"minimum payment ({defaults.min_payment_msat // 1000} sat," in streams
    invoices, settings = (DOCS / "invoices.md").read_text(encoding="utf-8"), InvoiceSettings()
    assert (
        f"fees ({settings.fee_limit_ppm // 10_000} %), or `invoices.fee_floor_msat`"
        f" ({settings.fee_floor_msat // 1000} sat)" in invoices
    )
    assert "`invoices.expiry` (a day)" in invoices and settings.expiry_ns == DAY_NS
    assert (
        f"up to {PAY_SECONDS:.0f} seconds" in invoices and f"the newest {MAX_LISTED:,}" in invoices
    )
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"more than {SpendLimit().amount_msat // 1000:,} sat in an hour" in readme
    assert SpendLimit().period_ns == 3600 * SECOND_NS


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", DOCS / "connect.md"], ids=lambda page: page.name
)
def test_the_macaroon_that_is_baked_is_the_one_that_is_needed(page: Path) -> None:
    baked = [body.strip() for body in blocks(page, "sh") if body.startswith("lncli bakemacaroon")]
    assert baked == [bake_command()]
    assert re.findall(r"uri:(\S+)", baked[0]) == [*NEEDED, *FOR_INVOICES]
    assert "--root_key_id " in baked[0]


def test_complaints_are_quoted_word_by_word() -> None:
    said = [
        plain(cell) for cell in table(DOCS / "connect.md", "words", "usual cause").column("words")
    ]
    known = list(texts())
    for words in said:
        assert any(words in text for text in known), f"nobody says: {words}"
        assert len(words.replace(GAP, "").strip()) > 15


def test_toml_blocks_are_good_configurations(tmp_path: Path) -> None:
    found = blocks(DOCS / "configuration.md", "toml") + blocks(DOCS / "tls.md", "toml")
    assert found
    for number, body in enumerate(found):
        assert tomllib.loads(body)
        file = tmp_path / f"{number}.toml"
        file.write_text(body)
        config = load_config({"HOME": str(tmp_path)}, {}, str(file))
        assert config.nodes or config.api.encrypted


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            assert target.startswith("https://") or (page.parent / target).exists(), (
                f"{page.name}: {target}"
            )


def test_files_and_folders_that_are_named_exist() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    for name in re.findall(r"`([a-z_/]+(?:\.py|/))`", text):
        assert any((root / name).exists() for root in (ROOT, ROOT / "streamer")), name
    told = [plain(cell) for cell in table(DOCS / "testing.md", "folder").column("folder")]
    there = sorted(
        f"tests/{path.name}"
        for path in (ROOT / "tests").iterdir()
        if path.is_dir() and any(path.glob("test_*.py"))
    )
    runs = [name for name in told if (ROOT / name / "__main__.py").exists()]
    assert sorted(told) == sorted({*there, *runs})


def test_make_targets_and_what_ci_runs() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"`make ([a-z-]+)`", page.read_text(encoding="utf-8"))) <= targets
    assert "make test" in [body.strip() for body in blocks(ROOT / "README.md", "sh")]
    check = makefile.split("\ncheck:")[1].split("\n\n")[0]
    assert "$(MAKE) test" in check
    assert "docs/generate.py --check" in check
    assert "make check" in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    run = makefile.split("\nrun:")[1].split("\n\n")[0]
    assert "/streamer demo" in run


def test_the_changelog_names_every_command() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert all(f"streamer {noun}" in text for noun in NOUNS)


def test_the_service_waits_longer_than_the_daemon() -> None:
    unit = (ROOT / "deploy" / "streamer.service").read_text(encoding="utf-8")
    waits = re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert waits is not None
    assert int(waits[1]) > DRAIN_SECONDS + 10
    assert "/streamer serve --config /etc/streamer/streamer.toml" in unit


def test_the_service_stops_before_lnd_and_comes_back_with_it() -> None:
    """PartOf passes lnd's stop and restart on, After turns them round, and WantedBy starts it with
    lnd.
    """
    unit = ConfigParser(interpolation=None)
    unit.read(ROOT / "deploy" / "streamer.service", encoding="utf-8")
    named = [
        (section, key)
        for section in unit
        for key, value in unit[section].items()
        if "lnd.service" in value.split()
    ]
    assert named == [("Unit", "after"), ("Unit", "partof"), ("Install", "wantedby")]
    page = (DOCS / "connect.md").read_text(encoding="utf-8")
    assert "(`After=`, `PartOf=`, `WantedBy=`)" in page


def test_words_are_compared_without_code_marks() -> None:
    assert spoken("unlock it with `lncli unlock`") == "unlock it with 'lncli unlock'"


def test_the_survivors_of_the_mutation_score_are_in_functions_that_exist() -> None:
    for where in {survivor.where for survivor in explained()}:
        module, _, function = where.partition(".")
        [path] = (ROOT / "streamer").rglob(f"{module}.py")
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        assert callable(attrgetter(function)(resolve_name(name))), where
