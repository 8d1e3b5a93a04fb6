"""What is QuestionPro's own: an envelope, an open vocabulary, errors inside a 200, two kinds of 429."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    RateLimited,
    RequestRejected,
    ServerError,
    UnexpectedResponse,
    VendorError,
)
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.hooks.questionpro import QuestionProHook
from tests.support.asking import asking, status_flow
from tests.support.flows import FIELDS, finish, hook_of, reply
from tests.support.flows import sample as any_sample
from tests.support.flows import status_of as any_status

JOB = "88123456"
SURVEY = "88120034"
KEY = FIELDS["password"]


def sample(name: str) -> bytes:
    return any_sample(f"questionpro/{name}")


def questionpro(**fields: Any) -> QuestionProHook:
    hook: QuestionProHook = hook_of(QuestionProHook, **fields)
    return hook


def status_of(body: bytes | object, job_id: Any = JOB, status: int = 200, **headers: str) -> JobStatus:
    return any_status(questionpro(), job_id, reply(body, status, **headers))


def batch(**changes: Any) -> dict[str, Any]:
    """Return the sample with changes to what its envelope holds."""
    body: dict[str, Any] = json.loads(sample("batch.json"))
    return {**body, "response": body["response"] | changes}


def error_body(**fields: Any) -> dict[str, Any]:
    return {"response": {"error": fields}}


@pytest.mark.parametrize("body", [{}, {"response": None}, {"response": []}, {"response": "x"}, {"status": 1}])
def test_a_reply_without_its_envelope_is_unexpected(body: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedResponse, match="without 'response'"):
        status_of(body)


@pytest.mark.parametrize(
    "word",
    ["Sending", "Scheduled", "Failed", "Delivery Failed", "Delivery", "Not Delivery Successful", "Completed"],
)
def test_trap_the_vocabulary_is_open_so_that_any_other_word_is_running_and_said_to_be_unknown(
    word: str,
) -> None:
    status = status_of(batch(status=word))
    assert (status.state, status.vendor_status, status.known) == (JobState.RUNNING, word, False)


@pytest.mark.parametrize("statuses", [None, {}, {"Sent": "succeeded"}])
def test_the_caveat_names_the_setting_and_the_connection(statuses: Any) -> None:
    [caveat] = questionpro(extra={"statuses": statuses}).wait_warnings()
    for piece in ("'Delivery Successful'", "running until the timeout", "extra 'statuses'", "'mine'"):
        assert piece in caveat


@pytest.mark.parametrize("state", ["failed", "cancelled", "partial", "running"])
def test_there_is_no_caveat_if_the_connection_knows_a_word_that_is_no_success(state: str) -> None:
    assert list(questionpro(extra={"statuses": {"A word": state}}).wait_warnings()) == []


@pytest.mark.parametrize(
    ("name", "status", "error"),
    [
        ("error-400", 400, RequestRejected),
        ("error-401", 401, AccessDenied),
        ("error-403", 403, AccessDenied),
        ("error-404", 404, NotFound),
        ("error-404-number", 404, NotFound),
        ("error-429-throttled", 429, RateLimited),
        ("error-429-spent", 429, RateLimited),
        ("error-500", 500, ServerError),
    ],
)
@pytest.mark.parametrize("inside", [False, True], ids=["with its own status", "inside a 200"])
def test_trap_an_envelope_may_hold_an_error_even_with_200(
    name: str, status: int, error: type[VendorError], inside: bool
) -> None:
    with pytest.raises(error) as caught:
        status_of(sample(f"{name}.json"), status=200 if inside else status)
    assert caught.value.status == status
    asked = (caught.value.vendor, caught.value.method, caught.value.path)
    assert asked == ("questionpro", "GET", f"/a/api/v2/micropanel/batches/{JOB}")
    assert json.loads(sample(f"{name}.json"))["response"]["error"]["message"] in str(caught.value)


@pytest.mark.parametrize("code", [None, "404", 0, 200, 302, 399, 600, -1, True, 404.0, [], 10**30])
def test_trap_an_error_inside_a_200_without_a_code_of_an_error_is_unexpected(code: Any) -> None:
    with pytest.raises(UnexpectedResponse, match="the error 'gone' with 200"):
        status_of(error_body(httpStatusCode=code, message="gone"))
    with pytest.raises(UnexpectedResponse):
        status_of(error_body())


GONE = {"httpStatusCode": 404, "id": 1040, "message": "no such batch"}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (GONE, NotFound),
        ([GONE], NotFound),
        (["first", GONE], NotFound),
        ({"message": "the batch failed"}, UnexpectedResponse),
        ("the batch failed", UnexpectedResponse),
        (["the batch failed"], UnexpectedResponse),
        ([{}], UnexpectedResponse),
        ([[]], UnexpectedResponse),
        (True, UnexpectedResponse),
        (17, UnexpectedResponse),
    ],
    ids=repr,
)
@pytest.mark.parametrize("place", ["inside", "beside", "alone"])
def test_trap_an_error_counts_wherever_it_stands_and_whatever_its_form(
    place: str, error: Any, kind: type[VendorError]
) -> None:
    body = batch(error=error) if place == "inside" else batch() | {"error": error}
    if place == "alone":
        del body["response"]
    with pytest.raises(kind):
        status_of(body)


@pytest.mark.parametrize("nothing", [None, "", [], {}, False, 0])
@pytest.mark.parametrize("place", ["inside", "beside"])
def test_an_error_that_says_nothing_is_none(place: str, nothing: Any) -> None:
    body = batch(error=nothing) if place == "inside" else batch() | {"error": nothing}
    assert status_of(body).state is JobState.SUCCEEDED


@pytest.mark.parametrize("form", [[{"id": 1013}], {"id": "1013"}])
@pytest.mark.parametrize("place", ["inside", "beside"])
def test_trap_a_spent_licence_is_seen_wherever_its_error_stands(place: str, form: Any) -> None:
    body = {"response": {"error": form}} if place == "inside" else {"error": form}
    with pytest.raises(RateLimited) as caught:
        status_of(body, status=429)
    assert caught.value.spent


def test_trap_the_code_in_the_body_of_a_real_error_does_not_count() -> None:
    with pytest.raises(ServerError):
        status_of(error_body(httpStatusCode=404, id="1040"), status=503)
    with pytest.raises(AccessDenied):
        status_of(error_body(httpStatusCode=200), status=401)


@pytest.mark.parametrize("inside", [False, True], ids=["with its own status", "inside a 200"])
@pytest.mark.parametrize("name", ["error-429-spent", "error-429-spent-number"])
def test_trap_a_429_with_1013_as_text_or_number_is_a_spent_licence(name: str, inside: bool) -> None:
    with pytest.raises(RateLimited) as caught:
        status_of(sample(f"{name}.json"), status=200 if inside else 429)
    assert caught.value.spent


@pytest.mark.parametrize(
    "body",
    [
        sample("error-429-throttled.json"),
        b"",
        b"<html>",
        error_body(id=None),
        error_body(id="10130"),
        b"1013",
    ],
)
def test_trap_any_other_429_only_asks_to_wait(body: Any) -> None:
    with pytest.raises(RateLimited) as caught:
        status_of(body, status=429, retry_after="7")
    assert not caught.value.spent
    assert caught.value.retry_after == 7.0


@pytest.mark.parametrize("error_id", ["1013", 1013])
@pytest.mark.parametrize("inside", [False, True])
def test_trap_1013_with_403_is_a_missing_permission(error_id: Any, inside: bool) -> None:
    body = error_body(httpStatusCode=403, id=error_id, message="not allowed")
    with pytest.raises(AccessDenied, match=r"403 Forbidden.*not allowed"):
        status_of(body, status=200 if inside else 403)


@pytest.mark.parametrize("job_id", ["007", "000000", "0"])
def test_leading_zeros_are_sent_as_given_and_match_the_number_in_the_answer(job_id: str) -> None:
    assert next(status_flow(questionpro(), job_id)).url.endswith(f"/{job_id}")
    status = status_of(batch(id=int(job_id)), job_id)
    assert (status.job_id, status.state) == (job_id, JobState.SUCCEEDED)


def test_of_a_huge_thing_in_place_of_an_id_no_more_than_its_type_is_shown() -> None:
    with pytest.raises(UnexpectedResponse, match="answered for the job '<list>'"):
        status_of(batch(id=[[]] * 30_000))


def test_an_error_that_no_server_would_write_is_not_read() -> None:
    filling = {"response": {"error": {"id": "1040", "name": "x", "message": "y", "more": [[]] * 40_000}}}
    assert questionpro().is_own_error(reply({"response": {"error": {"id": "1040"}}}, 404))
    assert not questionpro().is_own_error(reply(filling, 404))


def test_trap_the_id_of_the_survey_is_not_taken_for_the_id_of_the_mailing() -> None:
    assert str(json.loads(sample("batch.json"))["response"]["surveyID"]) == SURVEY
    with pytest.raises(UnexpectedResponse, match=f"answered for the job '{JOB}'"):
        status_of(sample("batch.json"), SURVEY)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("2023-05-17T11:03:21.000+00:00", "2023-05-17T11:03:21+00:00"),
        ("2023-05-17T11:03:21.250+05:30", "2023-05-17T11:03:21.250000+05:30"),
        ("2023-05-17T11:03:21Z", "2023-05-17T11:03:21+00:00"),
        ("12/10/2023 13:43", None),
        ("", None),
        (None, None),
        (1684321401, None),
    ],
)
def test_trap_a_time_has_fractions_and_an_offset_with_a_colon(value: Any, read: str | None) -> None:
    created_at = status_of(batch(creationTimestamp=value)).created_at
    assert created_at == read
    if created_at is not None:
        assert datetime.fromisoformat(created_at).tzinfo is not None


def test_trap_keys_that_the_schema_forbids_do_no_harm() -> None:
    body = batch(deliveredTo=412, statusText="x") | {"version": 3}
    assert status_of(body).state is JobState.SUCCEEDED


def test_an_error_that_echoes_the_key_does_not_get_it_shown() -> None:
    body = error_body(httpStatusCode=401, id="1010", message=f"no user with {KEY}")
    for status in (200, 401):
        with pytest.raises(AccessDenied) as caught:
            finish(asking(questionpro(), JOB), reply(body, status))
        assert "canary" not in str(caught.value)
        assert "***" in str(caught.value)
