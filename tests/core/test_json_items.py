"""The items of an array are read one by one, as strictly as the whole would be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.json_items import read_items

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(body: bytes) -> tuple[list[tuple[str, Any]], dict[str, Any]]:
    items: list[tuple[str, Any]] = []
    members = read_items(body, "rows", lambda text, value: items.append((text, value)))
    return items, members


@given(
    st.lists(VALUES, max_size=5), st.dictionaries(st.text(), VALUES, max_size=3), st.sampled_from([None, 2])
)
def test_items_and_members_are_those_that_a_parser_reads(
    rows: list[Any], others: dict[str, Any], indent: int | None
) -> None:
    whole = {**others, "rows": rows}
    items, members = read(json.dumps(whole, indent=indent, ensure_ascii=False).encode("utf-8", "replace"))
    expected = json.loads(json.dumps(whole, ensure_ascii=False).encode("utf-8", "replace"))
    assert [value for _, value in items] == expected["rows"]
    assert [json.loads(text) for text, _ in items] == expected["rows"]
    assert not any("\n" in text or "\r" in text for text, _ in items)
    assert members == {**expected, "rows": []}


def test_an_item_stays_as_it_stands_but_for_its_lines() -> None:
    body = b'\xef\xbb\xbf { "a" : 1.10 , "rows" :\r\n[ {"x":\n\t1.10,"y":"\\u00e9\\n"} , 1E400 ] } \n'
    items, members = read(body)
    assert [text for text, _ in items] == ['{"x":1.10,"y":"\\u00e9\\n"}', "1E400"]
    assert members == {"a": 1.1, "rows": []}


@pytest.mark.parametrize(
    ("body", "members"),
    [(b"{}", {}), (b'{"rows": {"a": 1}}', {"rows": {"a": 1}}), (b'{"rows":[]}', {"rows": []})],
)
def test_a_member_that_is_no_array_is_returned(body: bytes, members: dict[str, Any]) -> None:
    assert read(body) == ([], members)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"<html>",
        b'{"rows": [1, 2]',
        b'{"rows": [1, 2}',
        b'{"rows": [1 2]}',
        b'{"rows": [1,]}',
        b'{"rows": [,1]}',
        b'{"rows": [1], }',
        b'{"rows": [1], "rows": [2]}',
        b'{"rows": [{"a": 1, "a": 2}]}',
        b'{"rows": [NaN]}',
        b'{"rows": ["a\nb"]}',
        b'{"rows": [1]} {}',
        b"{1: 2}",
        b'{"a" 2}',
        b'{"rows": ["\xff"]}',
        b'{"rows": [' + b"[" * 64 + b"]" * 64 + b"]}",
    ],
)
def test_what_is_no_whole_strict_object_is_refused_without_a_word_of_it(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^[^<>]*$"):
        read(body)
