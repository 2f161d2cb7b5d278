"""Every command that the documentation prints in an `sh` block is run, as it stands.

Those that talk to a daemon run in a daemon's home, page by page from top to bottom. `streamer
serve` runs on a simulated lnd whose files are where lnd has them, `streamer simulate` until it is
ready. `make`, `lncli` and `.venv/bin` lines are compared with what they name (test_tables.py,
test_citations.py); a line of any other kind fails here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.daemon import free_port
from tests.docs.house import House, simulated_lnd
from tests.docs.pages import DOCS, PAGES, ROOT, blocks, languages

GENERATED = re.compile(r"<!-- generated: \w+ -->\n(.*?)<!-- end -->", re.DOTALL)
COMPARED = ("make ", "lncli bakemacaroon ", ".venv/bin/")
SERVES, SIMULATES, STRIKES = "streamer serve ", "streamer simulate ", "streamer simulate fault "
CONTROL = "127.0.0.1:9736"
"""Where the printed simulator is controlled."""
TALKS = ("streamer ", "curl ", "DESTINATION=", "KEY=", "ID=$(streamer ", "INVOICE=$(streamer ")


def lines(page: Path) -> list[str]:
    return [line for body in blocks(page, "sh") for line in body.splitlines()]


def spoken_to(page: Path) -> list[str]:
    """The lines of a page that need a daemon."""
    return [
        line
        for line in lines(page)
        if line.startswith(TALKS)
        and not line.startswith((SERVES, SIMULATES))
        and CONTROL not in line
    ]


SERVED = sorted({line for page in PAGES for line in lines(page) if line.startswith(SERVES)})
SIMULATED = sorted(
    {
        line
        for page in PAGES
        for line in lines(page)
        if line.startswith(SIMULATES) and not line.startswith(STRIKES)
    }
)
STRUCK = [line for page in PAGES for line in lines(page) if CONTROL in line]


@pytest.fixture(scope="module")
def lnd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with simulated_lnd(tmp_path_factory.mktemp("lnd")) as node:
        yield node


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, lnd: dict[str, str]) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("home"))
    made.settle_lnd(lnd)
    (made.home / "streamer.toml").write_text(blocks(DOCS / "configuration.md", "toml")[0])
    with made.begun(
        "streamer serve --node.lnddir ~/.lnd", STREAMER_NODE_RPCSERVER=made.lnd
    ) as daemon:
        made.wait_healthy(daemon)
        yield made


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_line_is_of_a_kind_that_is_proved(page: Path) -> None:
    for line in lines(page):
        assert line.startswith((*COMPARED, *TALKS)), line
    assert languages(page) <= {"sh", "toml", "python", "mermaid"}
    drawn = sum(
        body.count("```mermaid") for body in GENERATED.findall(page.read_text(encoding="utf-8"))
    )
    assert len(blocks(page, "mermaid")) == drawn, "what is drawn is made from the code"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if spoken_to(page)], ids=lambda page: page.name
)
def test_the_commands_of_a_page_run(page: Path, house: House) -> None:
    script = "\n".join(spoken_to(page)).replace("127.0.0.1:8882", house.http)
    done = house.bash(script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout


@pytest.mark.parametrize("line", SERVED)
def test_a_printed_serve_pays(line: str, tmp_path: Path, lnd: dict[str, str]) -> None:
    house = House(tmp_path)
    house.settle_lnd(lnd)
    more = {"STREAMER_NODE_RPCSERVER": house.lnd} if "lnddir" in line else {}
    with house.begun(line.replace("127.0.0.1:10009", house.lnd), **more) as daemon:
        house.wait_healthy(daemon)
        paid = house.bash(
            "streamer keysend 0304d18d21a872438701aaa6f6b1e19bc22b49988cd5e23ab79cdb90b39c85dd0a"
            " 2sat"
        )
        assert paid.returncode == 0, paid.stdout + paid.stderr


@pytest.mark.parametrize("line", SIMULATED)
def test_a_printed_simulate_shows_its_nodes(line: str, tmp_path: Path) -> None:
    with House(tmp_path).begun(line) as process:
        assert process.stdout is not None
        shown = "".join(
            iter(process.stdout.readline, "alice is funded towards the others. Ctrl-C ends it.\n")
        )
    assert shown.count("--rpcserver ") == int(line.split("--nodes ")[1].split()[0])


def test_the_printed_faults_strike(tmp_path: Path) -> None:
    house, control = House(tmp_path), f"127.0.0.1:{free_port()}"
    line = next(line for line in SIMULATED if "--control-port" in line).replace(
        "9736", control.rpartition(":")[2]
    )
    with house.begun(line) as process:
        assert process.stdout is not None
        assert any("Ctrl-C ends it" in shown for shown in iter(process.stdout.readline, ""))
        done = house.bash("\n".join(STRUCK).replace(CONTROL, control))
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"holding":true' in done.stdout
    assert len(STRUCK) >= 4


def test_the_pages_have_such_commands() -> None:
    assert (len(SERVED), len(SIMULATED)) == (4, 2)
    assert "streamer serve --node.lnddir ~/.lnd" in lines(ROOT / "README.md")


def test_tests_that_are_named_exist() -> None:
    for line in (
        line for page in PAGES for line in lines(page) if line.startswith(".venv/bin/pytest ")
    ):
        assert all((ROOT / name).exists() for name in re.findall(r"tests/\S+", line))
