"""Job ids."""

from __future__ import annotations

import json
import re
from collections import deque
from enum import Enum
from itertools import repeat
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.ids import (
    MAX_ID_LENGTH,
    job_id_text,
    job_ids,
    lasting,
    path_segment,
    single_job_id,
)
from airflow_provider_jobstatus.core.text import storable
from tests.support.values import anything, hostile_text

ids = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30).filter(
    lambda text: (
        not {"None", "null", "undefined", "nan", "NaN"} & set(text.split("/"))
        and not text.startswith(("[", "{"))
        and not any(sign in text for sign in "({$`<")
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


class Upload(str, Enum):  # noqa: UP042 - whose str() is its name
    DAILY = "site/upload-17"
    WEEKLY = "site/upload-18"


class Batch(int, Enum):
    FIRST = 4711


def test_a_member_of_an_enumeration_is_its_value() -> None:
    for read in (job_id_text, single_job_id):
        assert [read(value) for value in (Upload.DAILY, Upload.WEEKLY, Batch.FIRST)] == [
            "site/upload-17",
            "site/upload-18",
            "4711",
        ]
    for many in ([*Upload], (*Upload,), {*Upload}, deque(Upload), {"job_id": [*Upload]}):
        assert job_ids(many) == (["site/upload-17", "site/upload-18"], True)
        assert job_ids(lasting(many)) == (["site/upload-17", "site/upload-18"], True)


def test_what_lasts_of_an_enumeration_reads_alike_in_a_template() -> None:
    single = lasting({"job_id": Upload.DAILY})["job_id"]
    for text in (lasting(Upload.DAILY), single, lasting([Upload.DAILY])[0], lasting((Upload.DAILY,))[0]):
        assert (str(text), f"{text}") == ("site/upload-17", "site/upload-17")
        assert type(text) is str


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", "  ", "None", "null", " None ", True, False, 1.5, b"id", object()),
        *("x" * (MAX_ID_LENGTH + 1), {}),
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
        *(many, tuple(many), iter(many), (each for each in many), str(many), f"  {many}\n"),
        *(json.dumps(many), [{"job_id": each, "state": "succeeded"} for each in many], {"job_id": many}),
    ]
    assert [job_ids(form) for form in forms] == [(many, True)] * len(forms)


@pytest.mark.parametrize(
    "value",
    [
        *("[{[]: 1}]", "[{[]}]", "[" * 5000 + "]" * 5000, "['a'], ['b']", "[a, b]", "[__import__('os')]"),
        *("[1.5]", "[['a']]", "[None]", "['a', '']", ["a", None], [["a"]], {"id": "a"}),
        *({"job_id": {"job_id": "a"}}, {"job_id": None}, [{"job_id": ["a"]}]),
    ],
)
def test_a_list_of_other_things_is_refused(value: object) -> None:
    with pytest.raises(SettingsError, match="job_id"):
        job_ids(value)


@pytest.mark.parametrize(
    "value",
    [
        *({"s/b", "s/c", "s/a"}, frozenset({"s/b", "s/c", "s/a"}), str({"s/b", "s/c", "s/a"})),
        *({"job_id": {"s/b", "s/c", "s/a"}}, str({"job_id": {"s/b", "s/c", "s/a"}})),
    ],
    ids=["set", "frozen set", "text", "in a result", "in a result's text"],
)
def test_the_ids_of_a_set_are_sorted_so_that_every_process_reads_them_alike(value: object) -> None:
    assert job_ids(value) == (["s/a", "s/b", "s/c"], True)
    assert job_ids(lasting(value)) == (["s/a", "s/b", "s/c"], True)


@pytest.mark.parametrize(
    ("make", "texts"),
    [
        (lambda: (each for each in "ba"), ["b", "a"]),
        (lambda: map(str.upper, ["b", "a"]), ["B", "A"]),
        (lambda: filter(None, ["b", "", "a"]), ["b", "a"]),
        (lambda: reversed(["b", "a"]), ["a", "b"]),
        (lambda: {"b": 1, "a": 2}.keys(), ["b", "a"]),
        (lambda: {1: "b", 2: "a"}.values(), ["b", "a"]),
        (lambda: MappingProxyType({"b": 1}).keys(), ["b"]),
        (lambda: deque(["b", "a"]), ["b", "a"]),
        (lambda: range(3), ["0", "1", "2"]),
        (lambda: {"job_id": iter(["b", "a"])}, ["b", "a"]),
    ],
)
def test_what_names_jobs_is_made_into_what_can_be_read_more_than_once(make: Any, texts: list[str]) -> None:
    kept = lasting(make())

    assert [job_ids(kept), job_ids(kept), job_ids(make())] == [(texts, True)] * 3
    assert " at 0x" not in repr(kept)


def test_a_template_in_a_set_keeps_its_place_from_then_on() -> None:
    assert lasting({"{{ b }}", "s/a", 7}) == [7, "s/a", "{{ b }}"]


def test_an_iterator_without_end_is_refused() -> None:
    for read in (job_ids, lasting):
        with pytest.raises(SettingsError, match="no end"):
            read(repeat("s/a"))


@pytest.mark.parametrize("kind", [jinja2.Undefined, jinja2.ChainableUndefined, jinja2.DebugUndefined])
@pytest.mark.parametrize("template", ["{{ nobody }}", "{{ there.nobody }}", "{{ there['x y'] }}"])
@pytest.mark.parametrize("native", [True, False])
def test_an_undefined_name_in_a_template_is_no_list(
    kind: type[jinja2.Undefined], template: str, native: bool
) -> None:
    from jinja2.nativetypes import NativeEnvironment

    environment = (NativeEnvironment if native else jinja2.Environment)(undefined=kind)
    rendered = environment.from_string(template).render(there={})

    for value in (rendered, [rendered], {"job_id": rendered}, {"job_id": [rendered]}):
        with pytest.raises(SettingsError, match="job_id"):
            job_ids(value)


@pytest.mark.parametrize(
    "value",
    [
        *(str(each for each in "ab"), str(iter({"a": 1}.values())), str(iter(["a"])), str({"a": 1}.keys())),
        *(str({"a": "b"}.values()), str(set()), str(frozenset({"a"})), str(deque(["a"])), str(range(3))),
        *("LazyXComSequence([3 items])", "{{ params.job }}", "s/{{ no such element: dict object['job'] }}"),
        *(
            "s/None",
            "null/7",
            "s/{job}",
            "{ params.job }",
            "s/$JOB",
            "${JOB}",
            "s/$(job)",
            "s/`job`",
            "<job>",
        ),
        *("s/{% raw %}", 10**4400, -(10**500)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_text_of_an_object_or_of_a_template_is_no_id(value: object) -> None:
    for read in (job_ids, single_job_id):
        with pytest.raises(SettingsError, match="job_id"):
            read(value)


@pytest.mark.parametrize("mark", ["\u200b", "\u200f", "\u202e", "\u2066", "\ufeff", "\ud800"], ids=ascii)
@pytest.mark.parametrize("form", ["{}a", "a{}b", "s/a{}"])
def test_an_id_with_an_invisible_mark_is_refused_and_the_mark_is_named(mark: str, form: str) -> None:
    with pytest.raises(SettingsError, match=f"U\\+{ord(mark):04X}"):
        job_ids(form.format(mark))


@given(hostile_text)
def test_an_id_that_passes_travels_as_it_is(text: str) -> None:
    try:
        ids, _many = job_ids(text)
    except SettingsError:
        return
    assert ids == storable(ids)
    assert json.loads(json.dumps(ids)) == ids


@pytest.mark.parametrize(
    "spelled",
    [
        *("7_700", "0xff", "0o17", "0b101", "1e4", "2.0", "-9", "+9", "- 9", "--9", "00", "True", "8j"),
        *("1+2j", "1+2j", "'a' 'b'", "b'a'", "r'a'"),
    ],
)
@pytest.mark.parametrize("form", ["[{}]", "['ü', {}]", "[5, \n{} ,\n]", "{{'job_id': {}, 'rows': -1}}"])
def test_what_a_list_without_quotes_would_make_another_id_of_is_refused(spelled: str, form: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(f"{spelled!r} in a list or dict would be read as")):
        job_ids(form.format(spelled))


@pytest.mark.parametrize("text", ["[007]", "[ab]", "[12 ab, 3]", "['a', b]"])
def test_the_text_of_a_list_that_needs_quotes_says_so(text: str) -> None:
    with pytest.raises(SettingsError, match="each id in it needs quotes"):
        job_ids(text)


def test_numbers_in_a_list_that_are_what_is_written_need_no_quotes() -> None:
    ids = ["0", "5", "1200", "9" * 40]
    assert job_ids(f"[{', '.join(ids)}]") == (ids, True)
    assert job_ids('{"job_id": 12, "progress": 0.5, "rows": -1, "seen": true}') == (["12"], False)
    assert job_ids("{'job_id': 12, 'progress': 1e-05, 'rows': -1, 'seen': True}") == (["12"], False)
    with pytest.raises(SettingsError, match="'-0' in a list"):
        job_ids('{"job_id": -0, "seen": true}')


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


@pytest.mark.parametrize(("part", "problem"), [
    ("a b", "'a b' has a space at character 2, which no id has"),
    ("job!é", "has '\\xe9' (U+00E9) at character 5, which no id has"),
    ("a\u00a0b", "has '\\xa0' (U+00A0) at character 2, which no id has"),
    ("x%2Fy", "'x%2Fy' has '%' (U+0025) at character 2, which no id has"),
])  # fmt: skip
def test_a_part_with_a_character_that_no_id_has_is_refused_by_character_and_place(
    part: str, problem: str
) -> None:
    with pytest.raises(SettingsError, match=re.escape(problem)):
        path_segment(part, "jobId")
