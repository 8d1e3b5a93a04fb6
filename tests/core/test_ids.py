"""Job ids."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.ids import (
    MAX_ID_LENGTH,
    job_id_text,
    job_ids,
    path_segment,
    single_job_id,
)
from tests.core.values import anything, hostile_text

ids = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30).filter(
    lambda text: (
        text not in ("None", "null")
        and not text.startswith(("[", "{"))
        and not any(unquote(part) in (".", "..") for part in text.split("/"))
    )
)


@pytest.mark.parametrize(
    ("value", "text"), [("a", "a"), (" site/job\n", "site/job"), (12, "12"), (0, "0"), ("x" * 500, "x" * 500)]
)
def test_an_id_is_its_text(value: object, text: str) -> None:
    assert job_id_text(value) == text
    assert job_ids(value) == ([text], False)
    assert single_job_id(value) == text


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "  ",
        "None",
        "null",
        " None ",
        True,
        False,
        1.5,
        b"id",
        object(),
        "x" * (MAX_ID_LENGTH + 1),
        {},
    ],
)
def test_what_is_no_id_is_refused(value: object) -> None:
    for read in (job_id_text, job_ids, single_job_id):
        with pytest.raises(SettingsError, match="job_id"):
            read(value)


@given(anything)
def test_nothing_else_than_a_settings_error_comes_of_any_value(value: Any) -> None:
    try:
        texts, many = job_ids(value)
    except SettingsError:
        return
    assert many or len(texts) == 1
    assert all(type(text) is str and 0 < len(text) <= MAX_ID_LENGTH for text in texts)


@given(st.one_of(hostile_text, st.text("[]{}'\",: a1\\\n()-", max_size=20)))
def test_the_text_of_a_broken_list_is_refused_and_no_more(text: str) -> None:
    message = ""
    try:
        job_ids(f"[{text}]")
    except SettingsError as error:
        message = str(error)
    assert len(message) < 300


@given(st.lists(ids, max_size=5))
def test_a_list_is_read_from_every_form_that_it_comes_in(many: list[str]) -> None:
    forms: list[Any] = [
        many,
        tuple(many),
        iter(many),
        (each for each in many),
        str(many),
        f"  {many}\n",
        json.dumps(many),
        [{"job_id": each, "state": "succeeded"} for each in many],
        {"job_id": many},
    ]
    assert [job_ids(form) for form in forms] == [(many, True)] * len(forms)


@pytest.mark.parametrize(
    "value",
    [
        "[{[]: 1}]",
        "[{[]}]",
        "[" * 5000 + "]" * 5000,
        "['a'], ['b']",
        "[a, b]",
        "[__import__('os')]",
        "[1.5]",
        "[['a']]",
        "[None]",
        "['a', '']",
        ["a", None],
        [["a"]],
        {"id": "a"},
        {"job_id": {"job_id": "a"}},
        {"job_id": None},
        [{"job_id": ["a"]}],
    ],
)
def test_a_list_of_other_things_is_refused(value: object) -> None:
    with pytest.raises(SettingsError, match="job_id"):
        job_ids(value)


def test_lists_in_lists_are_refused_however_deep_they_are() -> None:
    nested: list[Any] = ["a"]
    for _ in range(100_000):
        nested = [nested]
    for value in (nested, {"job_id": nested}, tuple(nested)):
        with pytest.raises(SettingsError, match="list"):
            job_ids(value)


def test_the_result_of_a_sensor_stands_for_its_job() -> None:
    result = {"job_id": "a", "state": "failed", "counts": None}
    assert job_ids(result) == (["a"], False)
    assert job_ids(str(result)) == (["a"], False)
    assert job_ids(json.dumps(result)) == (["a"], False)
    assert job_ids(str([result, result])) == (["a", "a"], True)
    assert single_job_id({"job_id": "a"}) == "a"


@pytest.mark.parametrize("value", [["a"], [], "['a']", {"job_id": ["a"]}])
def test_an_operator_that_takes_one_job_takes_no_list(value: object) -> None:
    with pytest.raises(SettingsError, match="list"):
        single_job_id(value)


@given(st.one_of(hostile_text, st.text(st.characters(max_codepoint=127), max_size=12)))
def test_a_part_of_an_id_never_changes_the_path(part: str) -> None:
    message = None
    try:
        quoted = path_segment(part, "siteId")
    except SettingsError as error:
        message = str(error)
    if message is not None:
        assert message.isprintable()
        return
    assert re.fullmatch(r"(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+", quoted)
    assert unquote(quoted) == part
    parts = urlsplit(f"https://api.example/v1/{quoted}/status")
    assert (parts.netloc, parts.path.count("/"), parts.query, parts.fragment) == ("api.example", 3, "", "")
    assert unquote(quoted) not in (".", "..")


@pytest.mark.parametrize(
    ("part", "quoted"), [("a-B_1.~", "a-B_1.~"), ("a:b", "a%3Ab"), ("..a", "..a"), ("a;b", "a%3Bb")]
)
def test_a_part_of_an_id_is_quoted(part: str, quoted: str) -> None:
    assert path_segment(part, "jobId") == quoted


@pytest.mark.parametrize(
    "part",
    ["", ".", "..", "...", "a/b", "a\\b", "%2e%2e", "%2F", "a?b", "a#b", "a b", "a\n", "\0", "ü", "\ud800"],
)
def test_a_part_that_a_client_may_read_otherwise_is_refused_by_its_name(part: str) -> None:
    with pytest.raises(SettingsError, match="siteId"):
        path_segment(part, "siteId")
