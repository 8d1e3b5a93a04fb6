"""Items of an array, counted a piece at a time: as many as a parser, and an outline, see."""

from __future__ import annotations

import json
import re
import tracemalloc
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.json_counter import PIECE_BYTES, PIECE_DEPTH, ItemCounter
from airflow_provider_jobstatus.core.json_rows import count_entries, count_json_rows
from airflow_provider_jobstatus.core.json_scanner import MAX_DEPTH, JsonScanner
from tests.support.values import chunks_of, every_cut

#: Also halves of surrogate pairs, which JSON can say with escapes.
strings = st.text('ab"\\{}[],:/\n\x7fé€🎉\ud83c\udf89', max_size=8)
values = st.recursive(
    st.sampled_from([None, True, 0, -1.5e9]) | strings,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(strings, inner, max_size=4),
    max_leaves=20,
)


def written(data: st.DataObject, value: Any) -> bytes:
    """Return one of the many JSON texts of ``value``."""
    ascii_only = data.draw(st.booleans())
    indent = data.draw(st.sampled_from([None, 1]))
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    space = data.draw(st.sampled_from(["", " ", "\r\n\t"]))
    return (space + text + space).encode("utf-8", "surrogatepass")


@given(data=st.data(), items=st.lists(values, max_size=8))
def test_items_are_those_of_a_parser_wherever_the_text_is_cut(data: st.DataObject, items: list[Any]) -> None:
    text = written(data, items)
    assert len(json.loads(text)) == len(items)
    for chunks in (data.draw(chunks_of(text)), [text[at : at + 1] for at in range(len(text))]):
        assert count_json_rows(chunks) == len(items)


@given(
    data=st.data(),
    entries=st.lists(values, max_size=8),
    others=st.dictionaries(strings.filter(lambda name: name not in ("entries", "total", "job")), values),
)
def test_entries_are_counted_wherever_they_stand_in_a_report(
    data: st.DataObject, entries: list[Any], others: dict[str, Any]
) -> None:
    members = [("entries", entries), ("total", len(entries)), *others.items()]
    text = written(data, dict(data.draw(st.permutations(members))))
    assert count_entries(data.draw(chunks_of(text))) == len(entries)


tokens = st.sampled_from([b"[", b"]", b"{", b"}", b",", b":", b" ", b"1", b'"', b'"[,"', b'"\\""', b'"\\\\"'])


@given(
    data=st.data(),
    start=st.sampled_from([b"[1,", b'{"entries":[{', b'{"a":[],"b":[[[', b"[[{", b""]),
    rest=st.lists(tokens, max_size=20),
    end=st.sampled_from([b"", b"]", b"]}", b"}]}", b'"]', b" ] ]"]),
)
def test_what_is_no_json_is_seen_as_an_outline_sees_it_wherever_it_is_cut(
    data: st.DataObject, start: bytes, rest: list[bytes], end: bytes
) -> None:
    text = start + b"".join(rest) + end
    # With a backslash outside its strings a text is neither JSON nor the beginning of any.
    assume(b"\\" not in re.sub(rb'"(?:[^"\\]|\\.)*+(?:"|\Z)', b"", text))
    outline, counter = JsonScanner(keep=["total"]), ItemCounter(keep=["total"])
    for at in range(len(text)):
        outline.feed(text[at : at + 1])
    for chunk in data.draw(chunks_of(text)):
        counter.feed(chunk)
    assert counter.whole == outline.whole
    assert counter.followed == outline.followed
    if outline.whole:
        assert (counter.items, counter.members) == (outline.items, outline.members)


@pytest.mark.parametrize(
    "item", ["[1, {]}", "{[}]", "[[1}", "{]", '{"a": [}', "]", "}", '"', '{"a": "\\"}', "[[]", "{{}"]
)
def test_brackets_that_do_not_match_within_an_item_are_refused_wherever_they_are_cut(item: str) -> None:
    for chunks in every_cut(f'[{{"a": [1]}}, {item}, {{"b": "c"}}]'.encode()):
        with pytest.raises(ValueError, match="whole"):
            count_json_rows(chunks)


@pytest.mark.parametrize("depth", [1, PIECE_DEPTH - 1, PIECE_DEPTH, PIECE_DEPTH + 1, MAX_DEPTH - 10])
def test_nesting_within_items_is_followed_to_its_limit(depth: int) -> None:
    item = b'[{"a": ' * (depth // 2) + b"[1, 2]" + b"}]" * (depth // 2)
    body = b"[0, " + b", ".join([item] * 5) + b"]"
    for size in (1, 7, 1000, len(body)):
        assert count_json_rows(body[at : at + size] for at in range(0, len(body), size)) == 6


def test_nesting_beyond_the_limit_is_refused() -> None:
    item = b"[" * (MAX_DEPTH + 10) + b"]" * (MAX_DEPTH + 10)
    for size in (1, 100, 10_000):
        body = b"[0, " + item + b"]"
        with pytest.raises(ValueError, match="whole"):
            count_json_rows(body[at : at + size] for at in range(0, len(body), size))


@pytest.mark.parametrize("off", range(-3, 4))
def test_an_item_longer_than_a_piece_is_one_item(off: int) -> None:
    item = {"text": '\\"],[{' * (PIECE_BYTES // 2), "more": [[1, 2], {}] * 10}
    body = json.dumps(["x" * (PIECE_BYTES + off), item, '"' * PIECE_BYTES, "\\" * PIECE_BYTES, item]).encode()
    assert count_json_rows([body]) == 5


def test_a_text_that_ends_early_is_refused_however_long_it_is() -> None:
    body = json.dumps({"entries": [{"a": "b, c", "d": [1]}] * 4000, "total": 4000}).encode()
    assert count_entries([body]) == 4000
    for end in (*range(1, 30), *range(PIECE_BYTES - 9, PIECE_BYTES + 9), *range(len(body) - 30, len(body))):
        with pytest.raises(ValueError, match="whole"):
            count_entries([body[:end]])


def test_what_follows_the_array_is_seen_also_in_a_large_text() -> None:
    body = json.dumps([{"a": 1}] * 20_000).encode()
    assert count_json_rows([body, b" \n"]) == 20_000
    for more in (b"]", b"x", b"[]", b" 1"):
        with pytest.raises(ValueError, match="whole"):
            count_json_rows([body, more])


def test_memory_does_not_grow_with_the_items() -> None:
    chunk = b", ".join([b'{"id": "12345", "tags": ["a", "b"], "note": "\\"fine\\", {or} [so]"}'] * 1000)
    counter = ItemCounter()
    tracemalloc.start()
    counter.feed(b"[0, " + chunk)
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(20):
        counter.feed(b", " + chunk)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    counter.feed(b"]")
    assert counter.whole
    assert counter.items == {"": 1 + 21 * 1000}
    assert grown < PIECE_BYTES
