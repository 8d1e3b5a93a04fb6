"""Text from outside, made safe."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.text import MAX_INT, clean, redact, storable
from tests.core.values import anything, assert_storable, hostile_text


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
        ("plain", "plain"),
        ("  around\n", "around"),
        ("forged\r\nINFO all is well", "forged INFO all is well"),
        ("a\0b\x1b[31m", "a b [31m"),
        ("\ud800\udfff", ""),
        ("abc\u202edcba", "abc dcba"),
        ("Grüße, 世界 🎉", "Grüße, 世界 🎉"),
        (None, "None"),
        (12, "12"),
        (-1.5, "-1.5"),
        (b"\0", "b'\\x00'"),
        pytest.param(10**5000, hex(10**5000)[:497] + "...", id="a huge number"),
        ("x" * 500, "x" * 500),
        ("x" * 501, "x" * 497 + "..."),
        pytest.param("\n" * 10_000_000 + "x", "", id="a huge text"),
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


# No star, which stands where a secret was.
secrets = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*"), min_size=6, max_size=40)
around = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*"), max_size=20)


def forms(secret: str) -> list[str]:
    raw = secret.encode()
    return [
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        b64encode(raw).decode(),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1].replace("/", "\\/"),
        raw.hex(),
        raw.hex().upper(),
        *([secret.upper(), secret.lower(), quote(secret).upper()] if len(secret) >= 8 else []),
    ]


@given(secrets, around, around)
def test_no_form_of_a_secret_is_left(secret: str, before: str, after: str) -> None:
    for form in forms(secret):
        shown = redact(before + form + after + form, [secret])
        assert all(each not in shown for each in forms(secret))
        assert "***" in shown


@given(st.lists(secrets, min_size=1, max_size=4), around)
def test_no_secret_saves_a_part_of_another(many: list[str], between: str) -> None:
    shown = redact(between.join(many), many)
    assert all(form not in shown for secret in many for form in forms(secret))


def test_the_rest_of_a_secret_that_begins_with_another_is_not_shown() -> None:
    assert redact("it is secret-and-more", ["secret", "secret-and-more"]) == "it is ***"
    assert redact("it is secret-and-more", ["secret-and-more", "secret"]) == "it is ***"


@given(secrets, st.binary(max_size=9), st.binary(max_size=9))
def test_a_secret_inside_a_longer_base64_is_found(secret: str, before: bytes, after: bytes) -> None:
    text = b64encode(before + secret.encode() + after).decode()
    shown = redact(text, [secret])
    assert "***" in shown
    # At most the characters are left that hold bits of the neighbours.
    assert len(shown) - 3 <= len(text) - (len(secret.encode()) * 8 - 10) // 6


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="*"), min_size=13),
    st.data(),
)
def test_of_a_secret_that_a_cut_has_left_the_beginning_of_nothing_is_shown(
    secret: str, data: st.DataObject
) -> None:
    form = data.draw(st.sampled_from(forms(secret)))
    cut = form[: data.draw(st.integers(12, len(form)))]
    assert redact(f"<{cut}", [secret]) == "<***"
    assert redact(f"<{cut}>", [secret]).startswith("<***")


def test_the_beginning_of_one_secret_does_not_save_the_rest_of_another() -> None:
    one, other = "the-same-beginning-1", "the-same-beginning-2-and-more"
    assert redact(f"{one} {other} {other[:-3]}", [one, other]) == "*** *** ***"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET https://h.example/f?X-Sig=abc&b=1 failed", "GET https://h.example/f?*** failed"),
        ("http://h/a?b c https://h/d?e", "http://h/a?*** c https://h/d?***"),
        ('{"url":"https:\\/\\/h\\/f?sig=a"}', '{"url":"https:\\/\\/h\\/f?***"}'),
        ("at https%3A%2F%2Fh%2Ff%3Fsig%3Da%26b end", "at https%3A%2F%2Fh%2Ff%3F*** end"),
        ("<a href='https://h/?sig=a'>", "<a href='https://h/?***'>"),
        ("is it https://h/f? or not?", "is it https://h/f? or not?"),
        ("why? see https://h/f", "why? see https://h/f"),
    ],
)
def test_the_query_of_an_address_which_may_be_a_signature_is_not_shown(text: str, expected: str) -> None:
    assert redact(text, []) == expected


def test_basic_authentication_with_a_secret_is_redacted() -> None:
    header = b64encode(b"user:pa55-word").decode()
    assert "***" in redact(f"Basic {header}", ["pa55-word"])
    assert header not in redact(f"Basic {header}", ["pa55-word"])


def test_a_secret_that_may_be_a_word_is_left_alone() -> None:
    assert redact("test it", ["test", ""]) == "test it"
    assert redact("untouched", []) == "untouched"


def test_a_short_secret_does_not_shred_a_text() -> None:
    text = "Uploaded 7 rows for user admin, see SECRET rows and http status 503"
    assert redact(text, ["a", "row", "admin", "http", "Secret", "503"]) == text
    assert redact("Secret and secret", ["Secret"]) == "*** and secret"


def test_a_hostile_text_takes_time_in_proportion_to_its_size() -> None:
    secret = "ab" * 20
    for text in ("ab" * 200_000, ("ab" * 19 + "x") * 10_000, "http://" * 50_000, "http://a?" * 40_000):
        assert len(redact(text, [secret])) <= len(text)
