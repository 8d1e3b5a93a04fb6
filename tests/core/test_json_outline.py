"""The outline of a reply says what the whole says, wherever it is cut."""

from __future__ import annotations

import itertools
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.json_outline import (
    AGREED_BYTES,
    BLOCK_BYTES,
    KEPT_BYTES,
    MAX_HELD_BYTES,
    JsonOutline,
)
from airflow_provider_jobstatus.core.responses import load_json
from airflow_provider_jobstatus.core.strict_json import MAX_JSON_DEPTH
from dev.chaos.documents import compare
from tests.support.values import every_cut

KEEP = ("status", "id", "job")
MARK = b"\xef\xbb\xbf"


def pruned(value: Any) -> Any:
    """Return what an outline keeps of a value."""
    if isinstance(value, dict):
        kept = {name: pruned(inner) for name, inner in value.items() if name in KEEP}
        return kept | ({"": None} if len(kept) < len(value) else {})
    if isinstance(value, list):
        return [None] if value else []
    if isinstance(value, float) and abs(value) == float("inf"):
        return str(value)
    return value[:KEPT_BYTES] if isinstance(value, str) else value


def whole(text: bytes) -> Any:
    try:
        return pruned(load_json(text))
    except ValueError:
        return "refused"


def read(text: bytes, size: int = 65536, block_bytes: int = BLOCK_BYTES) -> Any:
    """Return what an outline keeps of a text that comes in pieces."""
    outline = JsonOutline(KEEP)
    outline.block_bytes = block_bytes
    try:
        for at in range(0, len(text), size):
            assert not outline.feed(text[at : at + size])
        outline.finish()
    except ValueError:
        return "refused"
    return load_json(outline.json())


NAMES = st.sampled_from(["status", "id", "job", "a", ""]) | st.text('ab{}[],:"\\', max_size=3)
TEXTS = st.text('ab"\\{}[],:\n é漢🎉\ud83c\udf89\x7f\0', max_size=8)
VALUES = st.recursive(
    st.sampled_from([None, True, False, 0, -1.5e9, 10**40]) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
BITS = st.sampled_from(
    [
        *b',:"[]{}\\ \n\x0b\xff\0',
        b"NaN",
        b"-Infinity",
        b"01",
        b"1.",
        b"1e999",
        b"tru",
        b'"a"',
        b"{}",
        b"\\u12",
    ]
).map(lambda bit: bytes([bit]) if isinstance(bit, int) else bit)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """A text of JSON, often with something out of place."""
    value = draw(st.dictionaries(NAMES, VALUES, max_size=5) | VALUES)
    text = json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))
    body = draw(st.sampled_from([b"", b"", MARK, b" "])) + text.encode("utf-8", "surrogatepass")
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(BITS | st.just(b"")) + body[at + draw(st.integers(0, 1)) :]
    return body


@given(body=documents(), size=st.integers(1, 50), block_bytes=st.integers(4, 60))
def test_an_outline_takes_and_refuses_what_the_whole_does(body: bytes, size: int, block_bytes: int) -> None:
    assert read(body, size, block_bytes) == whole(body)


ODD = {
    "an escaped name": b'{"stat\\u0075s": "processing", "id": 7}',
    "a name twice, once escaped": b'{"status": "done", "stat\\u0075s": "processing"}',
    "a name twice, far apart": b'{"status": "done", "x": [1, 2, {"y": [3, 4]}, 5, 6], "status": "done"}',
    "a name twice, far inside": b'{"x": [[{"y": {"a": [1, 2, 3, 4, 5, 6, 7], "b": 0, "a": 1}}]], "id": 1}',
    "the same name in two objects": b'{"x": [{"a": 1, "b": [1, 2, 3]}, {"a": 2, "b": [4, 5, 6]}], "id": 1}',
    "nothing": b"",
    "only a mark": MARK,
    "two marks": MARK + MARK + b"{}",
    "a mark inside": b'{"a": ' + MARK + b"1}",
    "a text that is a mark": b'{"a": "' + MARK + b'"}',
    "a number": b"123456789",
    "a text": b'"done, or not"',
    "an array": b'[{"status": "done"}, {"status": "done"}]',
    "two objects": b'{"status": "done"}, {"status": "done"}',
    "an object after an array": b'[1, 2] {"status": "done"}',
    "a comma at the end": b'{"status": "done", "x": [1, 2, ]}',
    "a comma at the beginning": b'{"x": [ , 1], "status": "done"}',
    "two commas": b'{"x": [1, , 2], "status": "done"}',
    "a comma after a colon": b'{"status": , "x": 1}',
    "a name without a value": b'{"status": "done", "x", "y": 1}',
    "a value without a name": b'{"status": "done", "x": 1, 2, "y": 3}',
    "brackets that do not match": b'{"x": [1, 2}, "status": "done"]',
    "one bracket too many": b'{"x": [1, 2]], "status": "done"}',
    "the last bracket is missing": b'{"x": [1, 2], "status": "done"',
    "a tab in a text": b'{"x": "a\tb", "status": "done"}',
    "an escape that is none": b'{"x": "\\x41", "status": "done"}',
    "a bare word": b'{"x": yes, "status": "done"}',
    "NaN": b'{"x": NaN, "status": "done"}',
    "minus infinity": b'{"x": [1, -Infinity], "status": "done"}',
    "a number beyond all floats": b'{"id": 1e999, "status": "done"}',
    "a whole number of 5,000 digits": b'{"id": 1, "x": ' + b"7" * 5000 + b"}",
    "half a character": b'{"x": "\xe6\xbc", "status": "done"}',
    "a lone surrogate": b'{"status": "\\ud83c", "id": 1}',
    "a surrogate as UTF-8": b'{"status": "\xed\xa0\xbc", "id": 1}',
    "UTF-16": '{"status": "done", "id": 1}'.encode("utf-16"),
    "as deep as may be": b'{"x": ' + b"[" * 63 + b"]" * 63 + b', "status": "done"}',
    "too deep": b'{"x": ' + b"[" * 64 + b"]" * 64 + b', "status": "done"}',
    "too deep in several steps": b'[1, {"a": 2, "b": ' * 33 + b"0" + b"}]" * 33,
    "quotes and brackets in texts": b'{"x": "\\\\\\"[{,", "y": ["]}", "\\\\"], "status": "done"}',
    "members of what is kept": b'{"job": {"status": {"id": [0]}, "x": 1, "id": {"status": 3}}, "status": []}',
    "empty and not": b'{"job": {}, "id": [], "status": {"x": 1}}',
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_an_odd_text_is_read_in_one_way_wherever_it_is_cut(body: bytes) -> None:
    expected = whole(body)
    for block_bytes in range(4, 40):
        assert read(body, 7, block_bytes) == expected
    for size in (1, 2, 3):
        assert read(body, size, 16) == expected


def test_replies_of_all_sorts_are_read_in_one_way() -> None:
    said, differ = compare(3000, seed=15)
    assert differ == []
    assert min(said["taken"], said["refused"]) > 500


@pytest.mark.parametrize(
    "character", ["x", "é", "漢", "🎉", "\\n", "\\u6f22", '\\"', "\\\\", ",", "[yy", " "]
)
@pytest.mark.parametrize("place", ["value", "name", "kept"])
@pytest.mark.parametrize("off", [0, 1])
def test_a_text_longer_than_many_blocks_is_checked_and_not_held(character: str, place: str, off: int) -> None:
    text = "y" * off + character * (5 * BLOCK_BYTES // len(character.encode()))
    name, value = {"value": ("x", text), "name": (text, "x"), "kept": ("status", text)}[place]
    body = f'{{"id": 7, "{name}": "{value}", "job": 1}}'.encode()
    kept, expected = read(body), whole(body)
    for member in kept:
        assert str(kept[member])[:4000] == str(expected[member])[:4000]
    assert kept.keys() == expected.keys()
    # One byte that is no character, far from both ends.
    spoilt = bytearray(body)
    spoilt[len(body) // 2] = 0xFF
    assert read(bytes(spoilt)) == "refused"
    spoilt[len(body) // 2] = 0x01
    assert read(bytes(spoilt)) == "refused"


@pytest.mark.parametrize("body", [b"[" * 9_000_000, b"<html>" * 100_000, b"[1 " + b"2 " * MAX_HELD_BYTES])
def test_what_can_become_no_json_is_read_no_further(body: bytes) -> None:
    outline = JsonOutline(KEEP)
    with pytest.raises(ValueError, match=r"end|bracket|Expecting"):
        outline.feed(body)


def test_white_space_is_not_held_and_parts_what_it_parts() -> None:
    space = b" \n" * (2 * MAX_HELD_BYTES)
    assert read(b"{" + space + b'"id"' + space + b":" + space + b"7" + space + b"}" + space) == {"id": 7}
    assert read(b'{"id": 7' + space + b"7}") == "refused"


def test_nesting_as_deep_as_the_whole_may_have() -> None:
    for depth in (MAX_JSON_DEPTH, MAX_JSON_DEPTH + 1):
        body = b"[1," * depth + b"2" + b"]" * depth
        assert read(body, 9, 9) == whole(body)


# Beyond what is agreed

ROW = b'{"responseIdentifier": "12345", "answer": "It was \\"fine\\", mostly {or} [so]", "codes": [1, 17]}'


def large(size: int, before: bytes, after: bytes = b"") -> Iterator[bytes]:
    """Yield a reply with results of about ``size`` bytes."""
    yield b"{" + before + b'"results": [' + ROW
    for _ in range(size // (500 * (len(ROW) + 2))):
        yield b"".join([b", " + ROW] * 500)
    yield b"]" + after + b"}"


def outline_of(pieces: Iterator[bytes]) -> tuple[bool, int, Any]:
    """Return whether the reading ended early, what was read, and what is kept."""
    outline = JsonOutline(KEEP, lambda kept: "id" in kept and kept.get("status") == "done", must=("id",))
    size = 0
    for piece in pieces:
        size += len(piece)
        if outline.feed(piece):
            return True, size, load_json(outline.json())
    outline.finish()
    return False, size, load_json(outline.json())


NAMED = b'"status": "done", "id": 7, '
LESS, MORE = AGREED_BYTES - 100_000, AGREED_BYTES + 100_000


def test_up_to_the_end_of_what_is_agreed_all_is_read() -> None:
    assert outline_of(large(LESS, NAMED, b', "job": {"id": 8}'))[2] == {
        "status": "done",
        "id": 7,
        "": None,
        "job": {"id": 8},
    }
    for after in (b', "status": "failed"', b', "x": NaN', b"}", b', "results": 1'):
        with pytest.raises(ValueError, match=r"twice|NaN|bracket|Extra"):
            outline_of(large(LESS, NAMED, after))


def test_beyond_it_a_word_and_an_id_are_enough() -> None:
    ended, size, kept = outline_of(large(200_000_000, NAMED))
    assert (ended, kept) == (True, {"status": "done", "id": 7, "": None})
    assert size < AGREED_BYTES + 200_000


def test_beyond_it_an_id_is_waited_for() -> None:
    ended, size, kept = outline_of(large(2 * AGREED_BYTES, b'"status": "done", ', b', "id": 8'))
    assert (ended, kept) == (False, {"status": "done", "": None, "id": 8})
    assert size > 2 * AGREED_BYTES - 100_000
    with pytest.raises(ValueError, match="does not say what it is about"):
        outline_of(large(MORE, b'"status": "done", '))
    with pytest.raises(ValueError, match="twice"):
        outline_of(large(MORE, b'"status": "done", ', b', "status": "failed", "id": 7'))


def test_a_short_text_need_not_have_what_a_long_one_must() -> None:
    assert outline_of(large(100_000, b'"status": "done", '))[2] == {"status": "done", "": None}


def test_where_the_reading_ends_does_not_depend_on_where_the_text_is_cut() -> None:
    text = b"".join(large(MORE, NAMED, b', "job": 1'))
    seen = set()
    for size in (100_000, 65_537, 999_983):
        outline = JsonOutline(KEEP, lambda kept: True)
        assert any(outline.feed(text[at : at + size]) for at in range(0, len(text), size))
        seen.add(outline.json())
    assert len(seen) == 1


@pytest.mark.parametrize("named_by", [b"an array", b"keys"])
def test_memory_does_not_grow_with_a_text(named_by: bytes) -> None:
    numbers = itertools.count()

    def rows(count: int) -> bytes:
        keys = (b'"%d": ' % next(numbers) if named_by == b"keys" else b"" for _ in range(count))
        return b", ".join(key + ROW for key in keys)

    outline = JsonOutline(KEEP)
    outline.feed(b'{"status": "done", "results": ' + (b"{" if named_by == b"keys" else b"["))
    for _ in range(AGREED_BYTES // (500 * len(ROW)) + 1):
        outline.feed(rows(500) + b", ")
    tracemalloc.start()
    outline.feed(rows(500) + b", ")
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(25):
        outline.feed(rows(500) + b", ")
    grown = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    outline.feed(rows(1) + (b"}" if named_by == b"keys" else b"]") + b', "id": 7}')
    outline.finish()
    assert load_json(outline.json()) == {"status": "done", "": None, "id": 7}
    assert grown < 1024 * 1024


def test_every_cut_of_a_reply_gives_the_same() -> None:
    body = MARK + '{"id": "漢", "job": {"status": "\\"done\\"", "x": [{}]}}'.encode()
    for chunks in every_cut(body):
        outline = JsonOutline(KEEP)
        outline.block_bytes = 11
        for chunk in chunks:
            outline.feed(chunk)
        outline.finish()
        assert load_json(outline.json()) == whole(body)
