"""How a job is submitted to Aftercare: what is refused before, and what of a reply is believed."""

from __future__ import annotations

import copy
import json
from typing import Any, get_args

import pytest

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    RequestRejected,
    ServerError,
    SettingsError,
    UnexpectedResponse,
    VendorError,
)
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook, submit
from tests.support.flows import finish, hook_of, reply

SECRET = "canary answer of a person"
CODING: dict[str, Any] = {
    "surveyIdentifier": "CSAT",
    "surveyResponses": [
        {
            "questionIdentifier": "Q1",
            "question": "Why?",
            "codingOptions": {"maxLevels": 3},
            "responseEntries": [{"responseIdentifier": "1", "answer": SECRET}],
        }
    ],
    "another": [1.5, None, "ü"],
}
BRANDS = copy.deepcopy(CODING)
BRANDS["surveyResponses"][0]["brandContext"] = {"industryDescription": "Toys", "brands": [{"name": "Acme"}]}
QUALITY: dict[str, Any] = {
    "surveyName": "CSAT",
    "callbackUrl": "https://example.com/done",
    "responses": [{"surveyEntries": [{"question": "Why?", "answer": SECRET}]}],
}
BODIES: dict[Any, dict[str, Any]] = {"coding": CODING, "brand-coding": BRANDS, "data-quality": QUALITY}


def changed(body: Any, place: str, value: Any) -> Any:
    """Return a body with a member changed, or left out for ``...``."""
    body = copy.deepcopy(body)
    *path, last = [int(name) if name.isdigit() else name for name in place.split(".")]
    within = body
    for name in path:
        within = within[name]
    if value is ...:
        del within[last]
    else:
        within[last] = value
    return body


def send(answer: Response, kind: Any = "coding") -> str:
    body = submit.order_body(kind, BODIES[kind])
    result: str = finish(submit.submit_flow(hook_of(AftercareHook), kind, body), answer)
    return result


@pytest.mark.parametrize(
    ("kind", "path", "job"),
    [
        ("coding", "/coding", "b-1"),
        ("brand-coding", "/brand-coding", "b-1"),
        ("data-quality", "/data-quality/batch", "data-quality/b-1"),
    ],
)
def test_an_order_is_sent_as_it_was_given_and_its_id_is_what_the_sensor_takes(
    kind: Any, path: str, job: str
) -> None:
    body = submit.order_body(kind, BODIES[kind])
    request = next(submit.submit_flow(hook_of(AftercareHook), kind, body))
    assert (request.method, request.url.partition("/api/v1")[2]) == ("POST", path)
    assert json.loads(request.body or b"") == BODIES[kind]
    assert send(reply({"batchJobId": "b-1"}, 202), kind) == job
    assert set(BODIES) == set(get_args(submit.CodingKind))


@pytest.mark.parametrize("as_text", [str, str.encode, lambda text: b"\xef\xbb\xbf" + text.encode()])
def test_json_is_sent_byte_for_byte(as_text: Any) -> None:
    text = json.dumps(CODING, indent=3, ensure_ascii=False)
    assert submit.order_body("coding", as_text(text)) == text.encode()


WRONG: list[tuple[Any, str, Any, str]] = [
    ("coding", "surveyIdentifier", ..., "body.surveyIdentifier is missing"),
    ("coding", "surveyIdentifier", 5, "body.surveyIdentifier is int"),
    ("coding", "surveyIdentifier", " ", "body.surveyIdentifier is empty"),
    ("coding", "surveyResponses", [], "body.surveyResponses is empty, not a list"),
    ("coding", "surveyResponses", {}, "body.surveyResponses is dict"),
    ("coding", "surveyResponses.0", "x", r"body.surveyResponses\[0\] is str, not an object"),
    ("coding", "surveyResponses.0.questionIdentifier", ..., r"\[0\].questionIdentifier is missing"),
    ("coding", "surveyResponses.0.responseEntries", None, r"\[0\].responseEntries is missing"),
    ("coding", "surveyResponses.0.responseEntries.0.answer", 1, r"responseEntries\[0\].answer is int"),
    ("brand-coding", "surveyResponses.0.brandContext", ..., r"\[0\].brandContext is missing"),
    ("brand-coding", "surveyResponses.0.brandContext.brands", [], "brandContext.brands is empty"),
    ("brand-coding", "surveyResponses.0.brandContext.brands.0.name", ..., r"brands\[0\].name is missing"),
    ("data-quality", "callbackUrl", ..., "body.callbackUrl is missing"),
    ("data-quality", "surveyName", "", "body.surveyName is empty"),
    ("data-quality", "responses.0.surveyEntries", [], r"responses\[0\].surveyEntries is empty"),
    ("coding", "more", {1, 2}, "body is no JSON: Object of type set"),
    ("coding", "more", float("nan"), "body is no JSON"),
]


@pytest.mark.parametrize(("kind", "place", "value", "says"), WRONG)
def test_what_cannot_be_an_order_is_refused_by_its_place(
    kind: Any, place: str, value: Any, says: str
) -> None:
    with pytest.raises(SettingsError, match=says) as refused:
        submit.order_body(kind, changed(BODIES[kind], place, value))
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "body is no JSON"),
        ("{'surveyIdentifier': 'x'}", "filter tojson"),
        ('{"a": 1, "a": 2}', "twice"),
        ('{"a": NaN}', "NaN"),
        ("[" * 65, "nested deeper"),
        (b'{"a": "\xff"}', "not UTF-8"),
        ("[]", "body is empty, not an object"),
    ],
)
def test_json_that_is_none_is_refused(text: str | bytes, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        submit.order_body("coding", text)


def test_a_few_mistakes_are_named_and_the_others_counted() -> None:
    body = CODING | {"surveyResponses": [{}] * 4}
    with pytest.raises(SettingsError, match=r"\[1\].question is missing.*; and 7 more$"):
        submit.order_body("coding", body)


ROW = {"questionIdentifier": "Q1", "question": "Why?", "responseIdentifier": "1", "answer": "So."}


def test_a_table_becomes_the_body_of_an_order() -> None:
    other = {"question": "How?", "responseIdentifier": 7, "answer": "Thus."}
    rows = [
        ROW,
        other,
        ROW | {"responseIdentifier": 2},
        other | {"questionIdentifier": None, "responseIdentifier": "8"},
    ]
    body = submit.body_of_rows(rows, "CSAT")
    assert body == {
        "surveyIdentifier": "CSAT",
        "surveyResponses": [
            {
                "questionIdentifier": "Q1",
                "question": "Why?",
                "responseEntries": [
                    {"responseIdentifier": "1", "answer": "So."},
                    {"responseIdentifier": "2", "answer": "So."},
                ],
            },
            {
                "questionIdentifier": "How?",
                "question": "How?",
                "responseEntries": [
                    {"responseIdentifier": "7", "answer": "Thus."},
                    {"responseIdentifier": "8", "answer": "Thus."},
                ],
            },
        ],
    }
    assert json.loads(submit.order_body("coding", body)) == body


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("rows", "rows is a str"),
        ({}, "rows is a dict"),
        ([], "body.surveyResponses is empty"),
        ([ROW, "x"], r"rows\[1\] is a str"),
        ([ROW | {SECRET: 1}], r"rows\[0\] has 1 columns besides"),
        ([ROW | {"answer": None}], r"rows\[0\].answer is missing"),
        ([ROW | {"answer": 5}], r"rows\[0\].answer is int"),
        ([ROW | {"answer": " "}], r"rows\[0\].answer is empty"),
        ([ROW | {"responseIdentifier": 1.0}], r"rows\[0\].responseIdentifier is float"),
        ([ROW | {"responseIdentifier": True}], r"rows\[0\].responseIdentifier is bool"),
        ([ROW | {"questionIdentifier": 1.0}], r"rows\[0\].questionIdentifier is float"),
        ([ROW | {"question": ""}], r"rows\[0\].question is empty"),
        ([ROW, ROW | {"answer": "x"}], r"rows\[1\].responseIdentifier stands twice in one question"),
        ([ROW, ROW | {"question": SECRET}], r"rows\[1\].question is another one"),
    ],
)
def test_a_table_that_cannot_be_sent_is_refused_by_row_and_column(rows: Any, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as refused:
        submit.order_body("coding", submit.body_of_rows(rows, "CSAT"))
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reply({}, 202), UnexpectedResponse),
        (reply({"batchJobId": None}, 202), UnexpectedResponse),
        (reply({"batchJobId": "b", "code": "INTERNAL_ERROR"}, 202), UnexpectedResponse),
        (reply({"batchJobId": "b", "surveyIdentifier": "another"}, 202), UnexpectedResponse),
        (reply({"batchJobId": 5}, 202), UnexpectedResponse),
        (reply({"batchJobId": "a/b"}, 202), UnexpectedResponse),
        (reply({"batchJobId": "data-quality/b"}, 202), UnexpectedResponse),
        (reply({"batchJobId": ".."}, 202), UnexpectedResponse),
        (reply(b"", 204), UnexpectedResponse),
        (reply(b"<html>", 200), UnexpectedResponse),
        (reply({}, 302), UnexpectedResponse),
        (reply({"code": "INVALID_REQUEST", "message": "no"}, 400), RequestRejected),
        (reply({"code": "INVALID_API_KEY", "message": "no"}, 403), AccessDenied),
        (reply({"code": "GATEWAY_TIMEOUT", "message": "no"}, 504), ServerError),
    ],
)
def test_a_reply_that_names_no_job_is_an_error(answer: Response, error: type[VendorError]) -> None:
    with pytest.raises(error):
        send(answer)


def test_an_error_that_quotes_an_address_does_not_show_it() -> None:
    with pytest.raises(RequestRejected) as refused:
        send(reply({"code": "INVALID_REQUEST", "message": "bad: anna@example.com"}, 400))
    assert "anna@example.com" not in str(refused.value)
