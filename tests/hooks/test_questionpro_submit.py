"""How a mailing is sent: what is refused before, and what of a reply is believed."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    RateLimited,
    RequestRejected,
    ServerError,
    SettingsError,
    UnexpectedResponse,
    VendorError,
)
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.hooks.questionpro import QuestionProHook, submit
from tests.support.flows import finish, hook_of, reply, sample

MAIL = "anna.personal@example.com"
BODY: dict[str, Any] = {
    "compose": {"surveyID": 88120034, "templateID": 5, "surveyAlias": "Ünïq"},
    "recipients": {"filterType": 2, "emailAddress": MAIL},
    "send": {"notification": {"enableEmailInvitation": True}},
    "another": [1.5, None],
}
BATCH: dict[str, Any] = json.loads(sample("questionpro/batch.json"))


def changed(place: str, value: Any) -> Any:
    """Return the body with a member changed, or left out for ``...``."""
    body = copy.deepcopy(BODY)
    *path, last = place.split(".")
    within = body
    for name in path:
        within = within[name]
    if value is ...:
        del within[last]
    else:
        within[last] = value
    return body


def send(answer: Response, order: Any = BODY) -> str:
    result: str = finish(submit.submit_flow(hook_of(QuestionProHook), submit.order_body(order)), answer)
    return result


def test_an_order_is_sent_as_it_was_given() -> None:
    request = next(submit.submit_flow(hook_of(QuestionProHook), submit.order_body(BODY)))
    assert (request.method, request.url) == (
        "POST",
        "https://api.questionpro.com/a/api/v2/micropanel/batches",
    )
    assert request.headers == {"Content-Type": "application/json"}
    assert json.loads(request.body or b"") == BODY


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("recipients", {"filterType": 1}),
        ("recipients", {"filterType": 3, "existingFilterID": 17}),
        ("recipients", {"filterType": 9}),  # a kind that the page does not know
        ("recipients.emailAddress", [MAIL, MAIL]),
        ("send", ...),
        ("send", None),
    ],
)
def test_an_order_has_what_its_recipients_need_and_may_have_more(place: str, value: Any) -> None:
    order = changed(place, value)
    assert json.loads(submit.order_body(order)) == order


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (None, "body is missing; QuestionPro takes an object (a dict)"),
        ("{}", "body is str; QuestionPro takes an object (a dict)"),
        ([BODY], "body is list; QuestionPro takes an object (a dict)"),
        ({}, "body.compose is missing; QuestionPro takes an object (a dict)"),
        (
            changed("compose.surveyID", ...),
            "body.compose.surveyID is missing; QuestionPro takes a whole number",
        ),
        (
            changed("compose.surveyID", True),
            "body.compose.surveyID is bool; QuestionPro takes a whole number",
        ),
        (
            changed("compose.surveyID", 0),
            "body.compose.surveyID is not positive; QuestionPro takes a whole number",
        ),
        (
            changed("compose.surveyID", "88120034"),
            "body.compose.surveyID is str; QuestionPro takes a whole number; a DAG with "
            "render_template_as_native_obj=True makes numbers of templates",
        ),
        (changed("recipients", ...), "body.recipients is missing; QuestionPro takes an object (a dict)"),
        (changed("recipients", [MAIL]), "body.recipients is list; QuestionPro takes an object (a dict)"),
        (
            changed("recipients.filterType", 2.0),
            "body.recipients.filterType is float; QuestionPro takes a whole number",
        ),
        *(
            (
                changed("recipients.emailAddress", value),
                "body.recipients.emailAddress is missing: filterType 2 sends to an address",
            )
            for value in (..., None, "", " ", [], [""], [MAIL, None], {"a": MAIL})
        ),
        (
            changed("recipients.filterType", 3),
            "body.recipients.existingFilterID is missing; QuestionPro takes a whole number",
        ),
        (changed("send", "now"), "body.send is str; QuestionPro takes an object (a dict)"),
        (changed("another", {MAIL}), "body is no JSON: Object of type set is not JSON serializable"),
    ],
)
def test_what_cannot_be_an_order_is_refused_by_its_place_and_never_by_its_content(
    order: Any, message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        submit.order_body(order)
    assert str(caught.value) == message


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_have_is_refused(number: float) -> None:
    with pytest.raises(SettingsError, match="body is no JSON: Out of range float"):
        submit.order_body(changed("another", number))


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206])
@pytest.mark.parametrize("told", [{"id": 88123456}, {"id": "88123456"}, BATCH["response"]])
def test_any_2xx_with_the_id_of_a_mailing_is_one(status: int, told: dict[str, Any]) -> None:
    assert send(reply({"response": told}, status)) == "88123456"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        [],
        {},
        {"response": None},
        {"response": []},
        {"response": [{"id": 1}]},
        {"id": 88123456},
        *(
            {"response": {"id": value}}
            for value in (None, "", "x", True, 0, "00", -1, 1.5, [1], "1/2", "88123456 or so", {})
        ),
        {"response": {"id": 1, "surveyID": 88120035}},
        {"response": {"id": 1, "error": {"httpStatusCode": 400, "id": 1002, "name": "x", "message": "y"}}},
        {"response": {"id": 1}, "error": "something"},
        {"response": {"error": "something"}},
    ],
)
@pytest.mark.parametrize("status", [200, 202])
def test_a_2xx_that_names_no_mailing_of_the_survey_is_unexpected(body: Any, status: int) -> None:
    with pytest.raises(UnexpectedResponse):
        send(reply(body, status))


@pytest.mark.parametrize(
    ("answer", "kind", "again"),
    [
        (reply(sample("questionpro/error-400.json"), 400), RequestRejected, True),
        (reply(sample("questionpro/error-400.json"), 200), RequestRejected, True),
        (reply(sample("questionpro/error-401.json"), 401), AccessDenied, True),
        (reply(b"", 401), AccessDenied, True),
        (reply(b"<html>", 401), AccessDenied, False),
        (reply(sample("questionpro/error-403.json"), 403), AccessDenied, True),
        (reply(b"<html>", 403), AccessDenied, False),
        (reply(b"<html>", 404), VendorError, False),
        (reply(sample("questionpro/error-429-throttled.json"), 429), RateLimited, True),
        (reply(sample("questionpro/error-429-spent.json"), 429), RateLimited, True),
        (reply(sample("questionpro/error-500.json"), 500), ServerError, False),
        (reply(sample("questionpro/error-500.json"), 200), ServerError, False),
        (reply(b"", 302, location="/login"), UnexpectedResponse, False),
        (reply({"response": {}}, 201), UnexpectedResponse, False),
        (reply({"response": {"id": 1, "error": {"httpStatusCode": 400}}}), UnexpectedResponse, False),
    ],
)
def test_only_a_refusal_of_questionpros_own_shows_that_nobody_was_mailed(
    answer: Response, kind: type[VendorError], again: bool
) -> None:
    hook = hook_of(QuestionProHook)
    mailing = hook.converse(submit.submission(hook, submit.order_body(BODY)))
    with pytest.raises(kind) as caught:
        finish(mailing, answer)
    assert caught.value.repeatable is again


@pytest.mark.parametrize("status", [200, 400])
def test_an_error_that_repeats_an_address_does_not_get_it_shown(status: int) -> None:
    error = {"httpStatusCode": 400, "id": "1002", "name": "BAD_REQUEST", "message": f"no member {MAIL} here"}
    with pytest.raises(RequestRejected, match=r"no member \*\*\* here") as caught:
        send(reply({"response": {"error": error}}, status))
    assert MAIL not in str(caught.value)
    with pytest.raises(UnexpectedResponse) as foreign:
        send(reply({"response": {"error": {"message": f"no member {MAIL}"}}}))
    assert MAIL not in str(foreign.value)
