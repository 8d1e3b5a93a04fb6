"""Pages of responses to a survey: what one must say, and that no response is lost between two."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    RateLimited,
    ServerError,
    UnexpectedResponse,
    VendorError,
)
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.hooks.questionpro import QuestionProHook
from airflow_provider_jobstatus.hooks.questionpro.answers import COLUMNS, answer_rows
from airflow_provider_jobstatus.hooks.questionpro.responses import (
    PageSequence,
    ResponsesPage,
    page_flow,
    page_request,
    read_page,
)
from tests.support.flows import finish, hook_of, reply, sample

SURVEY = 88120034
PAGE = sample("questionpro/responses.json")
HOOK = hook_of(QuestionProHook)
REQUEST = page_request(HOOK, SURVEY, 1, 100)


def read(body: bytes | object, number: int = 1, size: int = 100) -> ResponsesPage:
    answer = reply(body)
    return read_page(REQUEST, answer, answer.body, SURVEY, number, size)


def page(ids: list[Any], number: int = 1, **pagination: Any) -> dict[str, Any]:
    told = {"perPage": 100, "totalItems": len(ids), "currentPage": number} | pagination
    return {
        "response": [{"responseID": key} for key in ids],
        "pagination": {name: value for name, value in told.items() if value is not ...},
    }


def test_a_page_is_requested_by_its_number_and_size() -> None:
    request = page_request(hook_of(QuestionProHook), SURVEY, 3, 50)
    url = f"https://api.questionpro.com/a/api/v2/surveys/{SURVEY}/responses?page=3&perPage=50"
    assert (request.method, request.url) == ("GET", url)


def test_a_page_gives_each_response_as_it_stands() -> None:
    found = read(PAGE)
    assert (found.number, found.total, found.size) == (1, 2, 100)
    assert [key for key, _ in found.items] == [32438884, 32438885]
    assert [json.loads(text) for _, text in found.items] == json.loads(PAGE)["response"]
    assert '"weight": 0.50' in found.items[0][1]


@pytest.mark.parametrize(
    ("pagination", "total", "size"),
    [
        ({}, 2, 100),
        ({"page": 1, "total": 2, "totalItems": ..., "currentPage": ...}, 2, 100),
        ({"perPage": ..., "currentPage": ...}, 2, 100),
        ({"perPage": 20, "totalItems": 70}, 70, 20),
    ],
)
def test_both_forms_of_pagination_are_read(pagination: dict[str, Any], total: int, size: int) -> None:
    found = read(page([1, "2"], **pagination))
    assert (found.total, found.size, [key for key, _ in found.items]) == (total, size, [1, 2])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"response": []},
        {"pagination": {"perPage": 100, "totalItems": 0}},
        {"response": {"id": 1}, "pagination": {"totalItems": 1}},
        {"response": None, "pagination": {"totalItems": 0}},
        page([1], totalItems=...),
        *(page([1], totalItems=total) for total in (None, -1, "1", 1.0, True, [])),
        page([1], currentPage=2),
        page([1], perPage=0),
        page([1], perPage=101),
        *(page([key]) for key in (None, "", "x", 1.5, True, [1], -1)),
        {**page([]), "response": [17]},
        {**page([]), "response": [None]},
        {**page([1]), "response": [{"responseID": 1, "surveyID": SURVEY + 1}]},
        {"response": {"error": "x"}, "pagination": {"totalItems": 0}},
        {**page([1]), "error": {"message": "half of it only"}},
    ],
)
def test_what_is_no_page_of_this_survey_is_unexpected(body: Any) -> None:
    with pytest.raises(UnexpectedResponse):
        read(body)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"response": [{"responseID": 1}', PAGE + b"{}"])
def test_what_is_no_whole_json_is_no_page(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"Expecting|follows"):
        read(body)


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (404, "error-404", NotFound),
        (401, "error-401", AccessDenied),
        (429, "error-429-throttled", RateLimited),
        (429, "error-429-spent", RateLimited),
        (500, "error-500", ServerError),
    ],
)
def test_an_error_counts_with_its_own_status_and_inside_a_200(
    status: int, name: str, kind: type[VendorError]
) -> None:
    body = sample(f"questionpro/{name}.json")
    with pytest.raises(kind) as caught:
        finish(page_flow(HOOK, REQUEST), reply(body, status))
    with pytest.raises(kind) as inside:
        read(body)
    for error in (caught.value, inside.value):
        assert getattr(error, "spent", False) is ("spent" in name)


@pytest.mark.parametrize(
    ("status", "kind"), [(202, ServerError), (206, UnexpectedResponse), (302, UnexpectedResponse)]
)
def test_only_200_is_a_page(status: int, kind: type[VendorError]) -> None:
    assert finish(page_flow(HOOK, REQUEST), reply(PAGE)) == reply(PAGE)
    with pytest.raises(kind):
        finish(page_flow(HOOK, REQUEST), Response(status, {}, PAGE))


@pytest.mark.parametrize(
    ("body", "own"), [(sample("questionpro/error-404.json"), True), (b"<html>", False), (b"{}", False)]
)
def test_only_a_404_in_questionpros_own_form_says_that_there_is_no_survey(body: bytes, own: bool) -> None:
    with pytest.raises(NotFound) as caught:
        finish(page_flow(HOOK, REQUEST), reply(body, 404))
    assert caught.value.own is own


# From page to page


def of(number: int, ids: list[int] | range, total: int, size: int = 3) -> ResponsesPage:
    return ResponsesPage(number, total, size, [(key, f"response {key}") for key in ids])


def taken(*pages: ResponsesPage) -> PageSequence:
    sequence = PageSequence()
    for each in pages:
        assert sequence.goes_on
        assert sequence.number == each.number
        sequence.take(each)
    return sequence


@pytest.mark.parametrize(
    ("pages", "count"),
    [
        ([of(1, [], 0)], 0),
        ([of(1, [1, 2], 2)], 2),
        ([of(1, [1, 2, 3], 3)], 3),
        ([of(1, [1, 2, 3], 5), of(2, [4, 5], 5)], 5),
        # Some arrive: at the end, at the beginning, and more than a page.
        ([of(1, [1, 2, 3], 5), of(2, [4, 5, 6], 6)], 6),
        ([of(1, [5, 4, 3], 5), of(2, [3, 2, 1], 6)], 5),
        ([of(1, [1, 2, 3], 4), of(2, [4, 5, 6], 8), of(3, [7, 8], 8)], 8),
        ([of(1, [4, 3, 2], 4), of(2, [4, 3, 2], 7), of(3, [1], 7)], 4),
    ],
)
def test_pages_go_on_until_all_are_there(pages: list[ResponsesPage], count: int) -> None:
    sequence = taken(*pages)
    assert not sequence.goes_on
    assert (sequence.count, sequence.pages) == (count, len(pages))


@pytest.mark.parametrize(
    ("pages", "message"),
    [
        ([of(1, [1, 2], 3)], "page 1 has 2 responses where 3 are due"),
        ([of(1, [1, 2, 3, 4], 4)], "page 1 has 4 responses where 3 are due"),
        ([of(1, [1], 0)], "page 1 has 1 responses where 0 are due"),
        ([of(1, [1, 2, 3], 5), of(2, [4], 5)], "page 2 has 1 responses where 2 are due"),
        ([of(1, [1, 2, 3], 5), of(2, [], 5)], "page 2 has 0 responses where 2 are due"),
        ([of(1, [1, 2, 3], 5), of(2, [1, 2, 3], 5)], "page 2 has 3 responses where 2 are due"),
        (
            [of(1, [1, 2, 3], 6), of(2, [1, 2, 3], 6)],
            "page 2 repeats 3 responses of earlier pages, and only 0 have",
        ),
        (
            [of(1, [1, 2, 3], 6), of(2, [3, 2, 9], 7)],
            "page 2 repeats 2 responses of earlier pages, and only 1 have",
        ),
        ([of(1, [1, 1, 2], 3)], "page 1 repeats 1 responses"),
        (
            [of(1, [1, 2, 3], 6), of(2, [5, 6], 5)],
            "page 2 counts 5 responses, and the page before it 6: some were",
        ),
        ([of(1, [1, 2, 3], 7), of(2, [4, 5, 6, 7], 7, 4)], "a full page has 4 responses, and had 3 before"),
    ],
)
def test_a_page_after_which_a_response_may_be_missing_is_refused(
    pages: list[ResponsesPage], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        taken(*pages)


@given(
    st.integers(0, 12),
    st.integers(1, 4),
    st.lists(st.integers(0, 5), max_size=4),
    st.booleans(),
)
def test_whatever_arrives_meanwhile_each_response_of_the_beginning_is_taken_once(
    first: int, size: int, arrivals: list[int], newest_first: bool
) -> None:
    ids, sequence, texts = list(range(first)), PageSequence(), list[str]()
    while sequence.goes_on:
        begin = (sequence.number - 1) * size
        shown = (ids[::-1] if newest_first else ids)[begin : begin + size]
        texts += sequence.take(of(sequence.number, shown, len(ids), size))
        ids += range(len(ids), len(ids) + (arrivals.pop() if arrivals else 0))
    assert len(texts) == len(set(texts)) == sequence.count
    assert set(texts) >= {f"response {key}" for key in range(first)}


# Answers as rows


def test_each_answer_is_a_row_and_no_response_is_without_one() -> None:
    rows = [dict(zip(COLUMNS, row, strict=True)) for _, text in read(PAGE).items for row in answer_rows(text)]
    ids = [(row["responseID"], row["questionID"], row["answerID"]) for row in rows]
    assert ids == [
        ("32438884", "71", "711"),
        ("32438884", "71", "712"),
        ("32438884", "72", ""),
        ("32438885", "", ""),
    ]
    assert (rows[0]["duplicate"], rows[0]["customVariables"]) == (
        "false",
        '{"custom1": "abc", "custom2": null}',
    )
    assert [row["value.weight"] for row in rows] == ["0.50", "1e400", "", ""]
    assert rows[2]["questionText"] == 'Why, or "not"?'
    (row,) = answer_rows('{"responseID": 10, "customVariables": {"a": 5}}')
    assert (row[0], row[COLUMNS.index("customVariables")]) == ("10", '{"a": 5}')


@pytest.mark.parametrize(
    "response",
    [
        {},
        {"responseSet": None},
        {"responseSet": {}},
        {"responseSet": [None, 1]},
        {"responseSet": [{"answerValues": "x"}]},
        {"responseSet": [{"answerValues": [{"value": "x"}]}]},
    ],
)
def test_a_response_of_another_shape_has_a_row_all_the_same(response: dict[str, Any]) -> None:
    (row,) = answer_rows(json.dumps({"responseID": 7, **response}))
    assert row == ["7"] + [""] * (len(COLUMNS) - 1)
