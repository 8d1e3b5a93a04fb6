"""The outline of a JSON text, read in pieces of any size."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.json_scanner import KEPT_BYTES, JsonScanner

NAMES = st.sampled_from(["status", "results", "entries", "a", "b"]) | st.text("ab{}[],:\\", max_size=3)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text('ab"\\{}[],:\n é', max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
TEXTS = st.one_of(st.lists(VALUES, max_size=5), st.dictionaries(NAMES, VALUES, max_size=6))


def pieces(text: bytes, size: int) -> Iterator[bytes]:
    return (text[at : at + size] for at in range(0, len(text), size))


def kept(outline: JsonScanner) -> dict[str, Any]:
    return {name: json.loads(value) for name, value in outline.members.items()}


@given(value=TEXTS, ascii_only=st.booleans(), indent=st.sampled_from([None, 1]), size=st.integers(1, 50))
def test_it_sees_what_a_parser_sees(value: Any, ascii_only: bool, indent: int | None, size: int) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    outline = JsonScanner(keep=["status", "a"])
    for piece in pieces(text, size):
        outline.feed(piece)

    assert outline.whole
    if isinstance(value, list):
        assert outline.items[""] == len(value)
        return
    assert kept(outline) == {name: value[name] for name in value if name in ("status", "a")}
    for name in ("entries", "results"):
        if isinstance(value.get(name), list):
            assert outline.items[name] == len(value[name])


@given(value=TEXTS, data=st.data(), size=st.integers(1, 50))
def test_a_text_that_is_cut_short_is_never_whole(value: Any, data: st.DataObject, size: int) -> None:
    text = json.dumps(value).encode()
    outline = JsonScanner()
    for piece in pieces(text[: data.draw(st.integers(0, len(text) - 1))], size):
        outline.feed(piece)

    assert not outline.whole


@given(body=st.binary(max_size=200), size=st.integers(1, 20))
def test_no_bytes_upset_it(body: bytes, size: int) -> None:
    outline = JsonScanner(keep=["status"])
    for piece in pieces(body, size):
        outline.feed(piece)


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"<html>", b"null", b'"done"', b"{}}", b"{} {}", b"[}", b"{]", b"[1", b'{"a'),
        b'{"status": 1, "status": 2}',
    ],
)
def test_what_is_no_single_object_or_array_is_not_whole(text: bytes) -> None:
    outline = JsonScanner(keep=["status"])
    outline.feed(text)

    assert not outline.whole


def test_names_inside_other_values_are_not_taken_for_members() -> None:
    outline = JsonScanner(keep=["status"])
    outline.feed(
        b'{"results": {"status": "wrong", "x": ["status"]}, "text": "\\"status\\": 1", "status": "right"}'
    )

    assert kept(outline) == {"status": "right"}


@pytest.mark.parametrize("size", [KEPT_BYTES // 3, KEPT_BYTES + 5, 2 * KEPT_BYTES])
@pytest.mark.parametrize("rest", [b"", b'\\"', b"\\\\"])
def test_a_value_that_is_too_long_is_forgotten(size: int, rest: bytes) -> None:
    outline = JsonScanner(keep=["results", "status"])
    for piece in pieces(b'{"results": "' + b"x" * 2 * KEPT_BYTES + rest + b'", "status": "done"}', size):
        outline.feed(piece)

    assert kept(outline) == {"status": "done"}
    assert outline.whole


@pytest.mark.parametrize("place", ["first", "last"])
def test_memory_does_not_grow_with_the_text(place: str) -> None:
    row = b'{"responseIdentifier": "12345", "answer": "It was \\"fine\\", mostly {or} [so]"}'
    chunk = b",".join([row] * 500)
    status = b'"status": "completed"'
    outline = JsonScanner(keep=["status", "results"])
    tracemalloc.start()
    outline.feed(b"{" + (status + b", " if place == "first" else b"") + b'"results": {"questionCodes": [')
    outline.feed(row)
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(400):
        outline.feed(b",")
        outline.feed(chunk)
    grown = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    outline.feed(b"]}" + (b"" if place == "first" else b", " + status) + b"}")

    assert outline.whole
    assert kept(outline) == {"status": "completed"}
    assert grown < 1024 * 1024
