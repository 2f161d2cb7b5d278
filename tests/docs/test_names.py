"""The glossary names what there is: messages and fields of the API, Python's names, tables and
columns of the journal, metrics.
"""

from __future__ import annotations

import re
import sqlite3
from pkgutil import resolve_name

import pytest

from streamer._proto.streamer.v1 import admin_pb2, payment_pb2, stream_pb2, webhook_pb2
from streamer.stores.schema import migrate
from tests.docs.pages import DOCS, plain, table, tables

GLOSSARY = DOCS / "glossary.md"
SCHEMA = (stream_pb2, payment_pb2, admin_pb2, webhook_pb2)
"""All of streamer.v1: what is imported is in the pool."""
HEADERS = ["word", "what it is", "API", "Python", "journal, metrics"]
ROWS = [row for each in tables(GLOSSARY) for row in each.rows]
METRICS = {plain(cell) for cell in table(DOCS / "metrics.md", "metric").column("metric")}


def names(cell: str) -> list[str]:
    return [] if cell == "–" else [plain(name) for name in cell.split(", ")]


def journal() -> set[str]:
    """Every table, and every column as table.column."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, ":memory:")
    there = [
        name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type='table'")
    ]
    return {
        *there,
        *(
            f"{name}.{column[1]}"
            for name in there
            for column in connection.execute(f"PRAGMA table_info({name})")
        ),
    }


def is_in_the_api(name: str) -> bool:
    """Whether streamer.v1 has a message, a field, an enumeration or a method of this name."""
    pool, full = SCHEMA[0].DESCRIPTOR.pool, f"streamer.v1.{name}"
    for find in (
        pool.FindMessageTypeByName,
        pool.FindFieldByName,
        pool.FindEnumTypeByName,
        pool.FindMethodByName,
    ):
        try:
            find(full)
        except KeyError:
            continue
        return True
    return False


def is_in_python(name: str) -> bool:
    """Whether there is something of this name below streamer; a field of a dataclass counts."""
    try:
        resolve_name(f"streamer.{name}")
    except (ImportError, AttributeError):
        owner, _, field = name.rpartition(".")
        return field in getattr(resolve_name(f"streamer.{owner}"), "__dataclass_fields__", {})
    return True


def test_every_table_has_the_same_columns_and_every_word_stands_once() -> None:
    assert all(each.headers == HEADERS for each in tables(GLOSSARY))
    words = [word for row in ROWS for word in row[0].split(", ")]
    assert len(words) == len(set(words)) > 60


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_names_of_a_word_exist(row: list[str]) -> None:
    _, _, api, python, kept = row
    assert [name for name in names(api) if not is_in_the_api(name)] == []
    assert [name for name in names(python) if not is_in_python(name)] == []
    assert [name for name in names(kept) if name not in METRICS | journal()] == []


def test_names_that_do_not_exist_are_noticed() -> None:
    assert is_in_the_api("Stream.paid_until") and not is_in_the_api("Stream.paid_to")
    assert is_in_python("words.model.Facts.intents") and not is_in_python("words.model.Facts.hints")
    assert "payments.mark" in journal() and "payments.remark" not in journal()


def test_names_are_code() -> None:
    for row in ROWS:
        for cell in row[2:]:
            assert cell == "–" or all(
                re.fullmatch(r"`[\w.]+`", name) for name in cell.split(", ")
            ), cell
