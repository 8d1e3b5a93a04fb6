"""Text from outside, made safe."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.text import MAX_INT, clean, storable
from tests.support.values import anything, assert_storable, hostile_text


@given(st.one_of(hostile_text, anything), st.integers(3, 60))
def test_a_clean_text_is_short_and_safe_and_stays_as_it_is(value: object, limit: int) -> None:
    text = clean(value, limit)
    assert len(text) <= limit
    assert_storable(text)
    assert clean(text, limit) == text
    assert len(text.splitlines()) <= 1


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        *(("plain", "plain"), ("  around\n", "around")),
        *(("forged\r\nINFO all is well", "forged INFO all is well"), ("a\0b\x1b[31m", "a b [31m")),
        *(("\ud800\udfff", ""), ("abc\u202edcba", "abc dcba"), ("Grüße, 世界 🎉", "Grüße, 世界 🎉")),
        *((None, "None"), (12, "12"), (-1.5, "-1.5"), ({"why": ["no", 1]}, "{'why': ['no', 1]}")),
        pytest.param([0.5] * 80_000, "<list>", id="a huge list"),
        pytest.param({"a": [[]] * 20_000}, "<dict>", id="a huge list in a dict"),
        *(pytest.param(["\0" * 1_000_000], "<list>", id="a huge text in a list"), (b"\0", "b'\\x00'")),
        *(pytest.param(10**5000, hex(10**5000)[:497] + "...", id="a huge number"), ("x" * 500, "x" * 500)),
        *(("x" * 501, "x" * 497 + "..."), pytest.param("\n" * 10_000_000 + "x", "", id="a huge text")),
    ],
)
def test_a_text_is_cleaned(raw: object, expected: str) -> None:
    assert clean(raw) == expected


@given(anything, st.integers(0, 6))
def test_whatever_it_is_can_be_stored(value: object, depth: int) -> None:
    assert_storable(storable(value, depth))


@given(anything)
def test_what_can_be_stored_stays_as_it_is(value: object) -> None:
    once = storable(value)
    assert storable(once) == once


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (MAX_INT, MAX_INT),
        (-MAX_INT, -MAX_INT),
        (MAX_INT + 1, hex(MAX_INT + 1)),
        (-MAX_INT - 1, hex(-MAX_INT - 1)),
        (0.5, 0.5),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        ((1, [2]), [1, [2]]),
        ({1: "a\0b", None: 2}, {"1": "a b", "None": 2}),
        (
            {"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}},
            {"a": {"b": {"c": {"d": {"e": {"f": "{'g': 1}"}}}}}},
        ),
        (
            {
                1,
            },
            "{1}",
        ),
        ("x" * 3000, "x" * 1997 + "..."),
    ],
)
def test_a_value_becomes_one_that_every_database_stores(value: object, expected: object) -> None:
    stored = storable(value)
    assert stored == expected
    assert type(stored) is type(expected)


def test_a_container_that_is_too_deep_becomes_text_whatever_it_holds() -> None:
    deep: Any = [10**5000]
    for _ in range(2000):
        deep = [deep]
    assert_storable(storable(deep))
