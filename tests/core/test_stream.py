"""The table of a stream's life, walked whole."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path

import pytest

from streamer.core.book import RUNNING
from streamer.core.stream import TABLE, Move, moved
from streamer.words.model import ENDED
from streamer.words.model import StreamState as S

PAIRS = list(itertools.product(S, Move))
STREAMER = Path(__file__).resolve().parents[2] / "streamer"


@pytest.mark.parametrize(("state", "move"), PAIRS)
def test_every_move_is_in_the_table_or_refused(state: S, move: Move) -> None:
    if (state, move) in TABLE:
        assert moved(state, move) is TABLE[state, move]
    else:
        with pytest.raises(
            AssertionError, match=rf"^a stream that is {state} cannot move by: {move.value}$"
        ):
            moved(state, move)


def reached(start: S) -> set[S]:
    """All that a stream may ever be after start."""
    found, new = set[S](), {start}
    while new:
        found |= new
        new = {after for (before, _), after in TABLE.items() if before in found} - found
    return found


def test_all_states_can_be_reached_and_all_lead_to_an_end() -> None:
    assert reached(S.PENDING) == set(S)
    assert all(
        reached(state) >= ENDED for state in S if state not in ENDED and state is not S.CLOSING
    )


def test_nothing_leads_back_from_an_end() -> None:
    assert reached(S.CLOSING) == {S.CLOSING, *ENDED}
    assert all(reached(state) == {state} for state in ENDED)


def test_it_ends_by_closing_whatever_it_was() -> None:
    assert {state for state, move in TABLE if move is Move.END} == {*RUNNING, S.PAUSED}
    assert {before for (before, _), after in TABLE.items() if after in ENDED} == {S.CLOSING}


def test_time_stands_still_only_by_a_pause_and_goes_on_only_by_a_resume() -> None:
    assert {move for (_, move), after in TABLE.items() if after is S.PAUSED} == {Move.PAUSE}
    assert {move for before, move in TABLE if before is S.PAUSED} == {
        Move.RESUME,
        Move.RESUME_STALLED,
        Move.RESUME_EARLY,
        Move.END,
    }


def test_nothing_else_sets_the_state_of_a_stream() -> None:
    """A state that is set past the table: `stream.state = …` stands in one place of the rules."""
    found = []
    for path in sorted((STREAMER / "core").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            targets = node.targets if isinstance(node, ast.Assign) else []
            names = [
                name
                for target in targets
                for name in (target.elts if isinstance(target, ast.Tuple) else [target])
            ]
            found += [path.name for name in names if ast.unparse(name) == "stream.state"]
    assert found == ["book.py"]
