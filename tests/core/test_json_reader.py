"""A JSON text of any size, pulled value by value."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.json_reader import (
    MAX_MEMBERS,
    MAX_VALUE_BYTES,
    PART,
    PIECE_BYTES,
    JsonReader,
)
from airflow_provider_jobstatus.core.responses import load_json


def cut(text: bytes, size: int) -> Iterator[bytes]:
    return (text[at : at + size] for at in range(0, len(text), size))


def whole(text: bytes, size: int = 1) -> Any:
    """Return the value of a text, read as one."""
    reader = JsonReader(cut(text, size))
    value = reader.plain(reader.value())
    reader.finish()
    return value


def entered(reader: JsonReader) -> Any:
    """Return the next value, with each object and array in it entered."""
    if reader.mark() == "[":
        reader.enter("[")
        return [entered(reader) for _ in iter(reader.item, False)]
    if reader.mark() == "{":
        reader.enter("{")
        return {name: entered(reader) for name in iter(reader.member, None)}
    return reader.plain(reader.value())


def skipped(reader: JsonReader) -> None:
    reader.skip()


TEXTS = [
    b'{"a": [1, -2.5e3, true, null, "\\u00fc \\ud83d\\ude00 }]\\""], "b": {}, "c": [[]]}',
    b"\xef\xbb\xbf [ ]\n",
    b"12345.5",
    '"ü✓😀"'.encode(),
]
WRONG = {
    "cut": b'{"a": [1',
    "followed": b"{} {}",
    "two keys": b'{"a": 1, "a": 2}',
    "two keys, one escaped": b'{"a": 1, "\\u0061": 2}',
    "two keys below": b'[{"a": {"b": 1, "b": 1}}]',
    "NaN": b'{"a": NaN}',
    "too large": b"[1e999]",
    "a control character": b'["\n"]',
    "no UTF-8": b'["\xff"]',
    "a comma too many": b"[1,]",
    "a comma too many in an object": b'{"a": 1,}',
    "no comma": b'["a" "b"]',
    "no colon": b'{"a" 1}',
    "no name": b"{1: 2}",
    "no escape": b'["\\x"]',
    "another bracket": b'{"a": [1}]',
    "deep": b"[" * 65 + b"]" * 65,
    "very deep": b"[" * 100_000,
    "nothing": b" ",
    "two numbers": b"[1 2]",
}


@pytest.mark.parametrize("read", [whole, entered])
@pytest.mark.parametrize("text", TEXTS)
def test_a_value_is_the_same_however_it_is_cut_and_read(read: Any, text: bytes) -> None:
    for size in range(1, len(text) + 1):
        if read is whole:
            assert whole(text, size) == load_json(text)
            continue
        reader = JsonReader(cut(text, size))
        assert read(reader) == load_json(text)
        reader.finish()


@pytest.mark.parametrize("read", [entered, skipped, lambda reader: reader.plain(reader.value())])
@pytest.mark.parametrize("size", [1, 1_000_000])
@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_what_is_no_strict_json_is_refused_however_it_is_read(text: bytes, size: int, read: Any) -> None:
    reader = JsonReader(cut(text, size))
    with pytest.raises(ValueError, match=r"\A[^\"]+\Z"):
        (read(reader), reader.finish())


@given(st.binary(max_size=30) | st.text('[]{},:"\\u0e1.-+ tn', max_size=12).map(str.encode))
def test_it_takes_what_the_strict_parser_takes(text: bytes) -> None:
    try:
        wanted = load_json(text)
    except ValueError:
        with pytest.raises(ValueError, match=r"\w"):
            whole(text)
    else:
        assert whole(text) == wanted


def test_a_value_that_is_not_there_yet_is_left_for_later() -> None:
    reader = JsonReader(iter([b" " * PIECE_BYTES + b'[{"a": 1}, {"b": ', b"2}]"]))
    reader.enter("[")
    assert (reader.item(), reader.plain(reader.whole_value())) == (True, {"a": 1})
    assert (reader.item(), reader.whole_value()) == (True, PART)
    assert (reader.plain(reader.value()), reader.item()) == ({"b": 2}, False)


@pytest.mark.parametrize(
    "text",
    [
        chain([b'["'], repeat(b"x" * 65536, MAX_VALUE_BYTES // 30_000), [b'"]']),
        chain([b"[", b"x"], repeat(b" " * 65536, MAX_VALUE_BYTES // 30_000), [b"]"]),
        [b"{", *(b'"%d":0,' % number for number in range(MAX_MEMBERS + 1)), b'"x":0}'],
    ],
    ids=["a long text", "no value", "many members"],
)
def test_what_would_have_to_be_held_is_refused_beyond_a_bound(text: Any) -> None:
    reader = JsonReader(text)
    with pytest.raises(ValueError, match=r"more than|too many"):
        reader.skip()


def test_what_is_skipped_or_entered_takes_no_memory() -> None:
    items = chain([b'{"a": ['], repeat(b'{"x": "' + b"y" * 5000 + b'", "z": [1, 2]}, ', 6000), [b"1]}"])
    tracemalloc.start()
    reader = JsonReader(items)
    reader.enter("{")
    assert reader.member() == "a"
    reader.skip()
    assert reader.member() is None
    reader.finish()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000
