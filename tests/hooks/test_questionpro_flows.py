"""Conversations with QuestionPro as values: no server, no transport."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from airflow.sdk import Connection
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    RateLimited,
    RequestRejected,
    ServerError,
    SettingsError,
    UnexpectedResponse,
    VendorError,
)
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.hooks.questionpro import QuestionProHook
from tests.sandbox.schemas import questionpro as schemas
from tests.support.asking import asking, status_flow

SAMPLES = Path(__file__).parent.parent / "samples" / "questionpro"
BASE = "https://api.questionpro.com/a/api/v2"
JOB = "88123456"
SURVEY = "88120034"
KEY = "canary-questionpro-key"
PAGE = b"<html><h1>Welcome to the proxy</h1></html>"


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def questionpro(**fields: Any) -> QuestionProHook:
    fields = {"conn_id": "my_panel", "conn_type": "questionpro", "password": KEY, **fields}
    fields["extra"] = json.dumps(fields.get("extra") or {})
    return QuestionProHook.from_connection(Connection(**fields))


def reply(body: bytes | object = b"", status: int = 200, **headers: str) -> Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): text for name, text in headers.items()}, raw)


def finish(flow: Flow[Any], answer: Response) -> Any:
    """Send the answer to a flow and return its result."""
    next(flow)
    try:
        flow.send(answer)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the flow asks on")


def status_of(body: bytes | object, job_id: Any = JOB, status: int = 200, **fields: Any) -> JobStatus:
    result = finish(status_flow(questionpro(**fields), job_id), reply(body, status))
    assert isinstance(result, JobStatus)
    return result


def batch(**changes: Any) -> dict[str, Any]:
    """Return the sample with changes to what its envelope holds."""
    body: dict[str, Any] = json.loads(sample("batch.json"))
    return {**body, "response": body["response"] | changes}


def error_body(**fields: Any) -> dict[str, Any]:
    return {"response": {"error": fields}}


# Status


def test_the_whole_of_a_status_is_read_out_of_its_envelope() -> None:
    assert status_of(sample("batch.json")).as_dict() == {
        "job_id": JOB,
        "vendor": "questionpro",
        "state": "succeeded",
        "vendor_status": "Delivery Successful",
        "detail": None,
        "progress": None,
        "counts": None,
        "created_at": "2026-03-20T09:15:42+00:00",
        "completed_at": None,
    }


def test_the_smallest_reply_is_enough() -> None:
    assert status_of({"response": {"status": "Delivery Successful"}}) == JobStatus(
        JOB, "questionpro", JobState.SUCCEEDED, "Delivery Successful"
    )


@pytest.mark.parametrize("word", ["Delivery Successful", "DELIVERY SUCCESSFUL", "  delivery successful \n"])
def test_words_are_compared_without_case_and_white_space_around_them(word: str) -> None:
    assert status_of(batch(status=word)).state is JobState.SUCCEEDED


@pytest.mark.parametrize("body", [{}, {"response": None}, {"response": []}, {"response": "x"}, {"status": 1}])
def test_a_reply_without_its_envelope_is_unexpected(body: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedResponse, match="without 'response'"):
        status_of(body)


@pytest.mark.parametrize("word", [None, 2, 0, True, ["Delivery Successful"]])
def test_trap_a_number_is_a_status_of_another_kind_of_batch(word: Any) -> None:
    with pytest.raises(UnexpectedResponse, match="without a status word"):
        status_of(batch(status=word))
    with pytest.raises(UnexpectedResponse, match="without a status word"):
        status_of({"response": {}})


@pytest.mark.parametrize("word", ["", " ", "\n\t"])
def test_an_empty_word_is_no_status_that_goes_on(word: str) -> None:
    with pytest.raises(UnexpectedResponse, match="unknown status ''"):
        status_of(batch(status=word))


@pytest.mark.parametrize("body", [PAGE, b"", b" ", b"null", b"[]", b"7", b'{"response": NaN}', b"\xff"])
def test_a_body_that_is_no_json_object_is_no_status(body: bytes) -> None:
    with pytest.raises(UnexpectedResponse) as caught:
        status_of(body)
    assert "proxy" not in str(caught.value)


# Traps: the open vocabulary


@pytest.mark.parametrize(
    "word",
    ["Sending", "Scheduled", "Failed", "Delivery Failed", "Delivery", "Not Delivery Successful", "Completed"],
)
def test_trap_the_vocabulary_is_open_so_that_any_other_word_is_running_and_said_to_be_unknown(
    word: str,
) -> None:
    status = status_of(batch(status=word))
    assert (status.state, status.vendor_status, status.known) == (JobState.RUNNING, word, False)


def test_trap_the_sample_of_a_running_mailing_is_no_exception() -> None:
    assert status_of(sample("batch-sending.json")).state is JobState.RUNNING


@pytest.mark.parametrize("state", list(JobState))
@pytest.mark.parametrize("as_text", [False, True])
def test_the_connection_may_teach_questionpro_a_word(state: JobState, as_text: bool) -> None:
    words: Any = {"Delivery Failed": state.value}
    extra = {"statuses": json.dumps(words) if as_text else words}
    status = status_of(batch(status="delivery failed"), extra=extra)
    assert (status.state, status.known) == (state, True)
    assert status_of(batch(), extra=extra).state is JobState.SUCCEEDED


@pytest.mark.parametrize("statuses", [None, {}, {"Sent": "succeeded"}])
def test_the_caveat_names_the_setting_and_the_connection(statuses: Any) -> None:
    [caveat] = questionpro(extra={"statuses": statuses}).connection_warnings()
    for piece in ("'Delivery Successful'", "running until the timeout", "extra 'statuses'", "'my_panel'"):
        assert piece in caveat


@pytest.mark.parametrize("state", ["failed", "cancelled", "partial", "running"])
def test_there_is_no_caveat_if_the_connection_knows_a_word_that_is_no_success(state: str) -> None:
    assert list(questionpro(extra={"statuses": {"A word": state}}).connection_warnings()) == []


# Traps: errors


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


def test_trap_an_error_beside_a_success_is_still_an_error() -> None:
    body = batch(error={"httpStatusCode": 500, "id": "1026", "message": "x"})
    with pytest.raises(ServerError):
        status_of(body)


@pytest.mark.parametrize("nothing", [None, "", [], 0])
def test_an_error_that_is_none_does_not_hide_the_status(nothing: Any) -> None:
    assert status_of(batch(error=nothing)).state is JobState.SUCCEEDED


def test_trap_the_code_in_the_body_of_a_real_error_does_not_count() -> None:
    with pytest.raises(ServerError):
        status_of(error_body(httpStatusCode=404, id="1040"), status=503)
    with pytest.raises(AccessDenied):
        status_of(error_body(httpStatusCode=200), status=401)


@pytest.mark.parametrize("body", [PAGE, b"", b"\xff\xfe", b"null", b'{"response": 1}', b"[" * 5000])
@pytest.mark.parametrize(
    ("status", "error"), [(400, RequestRejected), (401, AccessDenied), (404, NotFound), (502, ServerError)]
)
def test_an_error_of_any_body_is_known_by_its_status(
    status: int, error: type[VendorError], body: bytes
) -> None:
    with pytest.raises(error) as caught:
        status_of(body, status=status)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700


# Traps: 429 and 1013


@pytest.mark.parametrize("inside", [False, True], ids=["with its own status", "inside a 200"])
@pytest.mark.parametrize("name", ["error-429-spent", "error-429-spent-number"])
def test_trap_a_429_with_1013_as_text_or_number_is_a_spent_licence(name: str, inside: bool) -> None:
    with pytest.raises(RateLimited) as caught:
        status_of(sample(f"{name}.json"), status=200 if inside else 429)
    assert caught.value.spent


@pytest.mark.parametrize(
    "body",
    [sample("error-429-throttled.json"), b"", PAGE, error_body(id=None), error_body(id="10130"), b"1013"],
)
def test_trap_any_other_429_only_asks_to_wait(body: Any) -> None:
    with pytest.raises(RateLimited) as caught:
        finish(status_flow(questionpro(), JOB), reply(body, 429, retry_after="7"))
    assert not caught.value.spent
    assert caught.value.retry_after == 7.0


@pytest.mark.parametrize("error_id", ["1013", 1013])
@pytest.mark.parametrize("inside", [False, True])
def test_trap_1013_with_403_is_a_missing_permission(error_id: Any, inside: bool) -> None:
    body = error_body(httpStatusCode=403, id=error_id, message="not allowed")
    with pytest.raises(AccessDenied, match=r"403 Forbidden.*not allowed"):
        status_of(body, status=200 if inside else 403)


# Traps: ids


def test_trap_the_path_has_no_stray_brace() -> None:
    request = next(status_flow(questionpro(), JOB))
    assert (request.method, request.url) == ("GET", f"{BASE}/micropanel/batches/{JOB}")
    assert (request.body, request.outline) == (None, None)


@pytest.mark.parametrize("job_id", [JOB, int(JOB), f"  {JOB}\n", "9" * 30])
def test_an_id_is_a_number_or_its_text(job_id: Any) -> None:
    text = str(job_id).strip()
    assert next(status_flow(questionpro(), job_id)).url == f"{BASE}/micropanel/batches/{text}"


@pytest.mark.parametrize(
    "job_id",
    [
        *("None", "null", "", " ", None, True, 1.5, [JOB], {"job_id": JOB}, b"7"),
        *(
            "-7",
            "+7",
            "7.0",
            "7e3",
            "0x7",
            "1_000",
            "7 8",
            "7\n8",
            "\u0667",
            "\uff17",
            "\u00b2",
            "batch",
            "{7}",
            "{{7}",
        ),
        *("7/8", "7?x", "7#x", "7%20", "..", "../apikey/regenerate", "7/../../../apikey/regenerate"),
        *(-7, "9" * 501),
    ],
)
def test_trap_an_id_that_is_no_number_is_refused_before_anything_is_asked(job_id: Any) -> None:
    with pytest.raises(SettingsError, match="job_id"):
        next(status_flow(questionpro(), job_id))


@settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=30) | st.text("0123456789./%2eE+-_ \n\u0667\u00b2", max_size=12))
@example("\u0663")
def test_no_job_id_leads_anywhere_but_to_digits(job_id: str) -> None:
    try:
        request = next(status_flow(questionpro(), job_id))
    except SettingsError:
        return
    before, _, digits = request.url.rpartition("/")
    assert before == f"{BASE}/micropanel/batches"
    assert set(digits) <= set("0123456789")
    assert digits == job_id.strip() != ""


@pytest.mark.parametrize("job_id", ["007", "000000", "0"])
def test_leading_zeros_are_sent_as_given_and_match_the_number_in_the_answer(job_id: str) -> None:
    assert next(status_flow(questionpro(), job_id)).url.endswith(f"/{job_id}")
    status = status_of(batch(id=int(job_id)), job_id)
    assert (status.job_id, status.state) == (job_id, JobState.SUCCEEDED)


@pytest.mark.parametrize("answered", [int(JOB), JOB, None])
def test_the_id_in_the_answer_may_be_a_number_a_text_or_missing(answered: Any) -> None:
    assert status_of(batch(id=answered)).state is JobState.SUCCEEDED


@pytest.mark.parametrize("answered", [int(JOB) + 1, 0, "", "x", float(JOB), [int(JOB)], True])
def test_the_status_of_another_mailing_is_refused(answered: Any) -> None:
    with pytest.raises(UnexpectedResponse, match="answered for the job"):
        status_of(batch(id=answered))


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


# Traps: the rest


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


def test_trap_the_header_is_api_key_with_a_hyphen_and_the_key_is_nowhere_else() -> None:
    request = next(asking(questionpro(password=f" {KEY}\t"), JOB))
    assert isinstance(request, Request)
    assert dict(request.headers) == {"api-key": KEY}
    assert KEY not in request.url
    assert KEY not in repr(request)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_trap_a_redirect_is_never_followed_with_the_key(status: int) -> None:
    with pytest.raises(UnexpectedResponse, match=f"answered {status}"):
        finish(asking(questionpro(), JOB), reply(b"", status, location="https://other.example/"))


def test_an_error_that_echoes_the_key_does_not_get_it_shown() -> None:
    body = error_body(httpStatusCode=401, id="1010", message=f"no user with {KEY}")
    for status in (200, 401):
        with pytest.raises(AccessDenied) as caught:
            finish(asking(questionpro(), JOB), reply(body, status))
        assert "canary" not in str(caught.value)
        assert "***" in str(caught.value)


def test_a_connection_without_a_key_is_named_with_its_fix() -> None:
    for password in (None, "", "  "):
        with pytest.raises(SettingsError, match="connection 'my_panel': password is not set; set it to the"):
            next(asking(questionpro(password=password), JOB))


@pytest.mark.parametrize(
    ("host", "base"),
    [
        (None, BASE),
        ("", BASE),
        ("https://api.questionpro.eu", "https://api.questionpro.eu/a/api/v2"),
        ("https://api.questionpro.eu/", "https://api.questionpro.eu/a/api/v2"),
        ("https://api.questionpro.eu//", "https://api.questionpro.eu/a/api/v2"),
        ("https://api.questionpro.eu/a/api/v2", "https://api.questionpro.eu/a/api/v2"),
        ("https://api.questionpro.eu/a/api/v2/", "https://api.questionpro.eu/a/api/v2"),
        (" HTTPS://API.QuestionPro.EU/a/api/v2 ", "https://api.questionpro.eu/a/api/v2"),
        ("api.surveyanalytics.com", "https://api.surveyanalytics.com/a/api/v2"),
        ("api.questionpro.ca/a/api/v2/", "https://api.questionpro.ca/a/api/v2"),
        ("us.questionpro.com", "https://us.questionpro.com/a/api/v2"),
        ("https://proxy.example:8443/questionpro", "https://proxy.example:8443/questionpro"),
    ],
)
def test_trap_a_data_centre_is_given_as_an_origin_or_with_the_path_pasted(
    host: str | None, base: str
) -> None:
    assert next(status_flow(questionpro(host=host), JOB)).url == f"{base}/micropanel/batches/{JOB}"


# Ping


def test_a_ping_is_one_get_of_a_mailing_that_cannot_exist() -> None:
    request = next(questionpro().ping_flow())
    assert (request.method, request.url, request.body) == ("GET", f"{BASE}/micropanel/batches/0", None)


@pytest.mark.parametrize("name", ["error-404", "error-404-number", "error-400"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_ping_whose_mailing_is_not_there_shows_that_the_key_is_accepted(name: str, inside: bool) -> None:
    answer = reply(sample(f"{name}.json"), 200 if inside else int(name[6:9]))
    assert finish(questionpro().ping_flow(), answer) == "QuestionPro accepts the key"


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("error-401", AccessDenied),
        ("error-403", AccessDenied),
        ("error-429-spent", RateLimited),
        ("error-429-throttled", RateLimited),
        ("error-500", ServerError),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_a_ping_that_is_refused_or_fails_is_an_error(
    name: str, error: type[VendorError], inside: bool
) -> None:
    with pytest.raises(error):
        finish(questionpro().ping_flow(), reply(sample(f"{name}.json"), 200 if inside else int(name[6:9])))


@pytest.mark.parametrize("status", [200, 302, 400, 404])
@pytest.mark.parametrize("body", [PAGE, b"", b"[]", b"7", b'{"error": "no"}'])
def test_trap_a_ping_that_finds_something_else_than_questionpro_is_an_error(status: int, body: bytes) -> None:
    with pytest.raises(VendorError):
        finish(questionpro().ping_flow(), reply(body, status, content_type="text/html"))


# Samples


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.json")), ids=lambda path: path.name)
def test_every_sample_is_as_the_vendor_describes_it(path: Path) -> None:
    body = json.loads(path.read_bytes())
    if "-number" in path.name:
        body["response"]["error"]["id"] = str(body["response"]["error"]["id"])
    jsonschema.validate(body, schemas.BATCH if path.name.startswith("batch") else schemas.ERROR)


def test_every_sample_has_a_source() -> None:
    sources = (SAMPLES / "SOURCES.md").read_text()
    assert [
        path.name
        for path in SAMPLES.iterdir()
        if path.name != "SOURCES.md" and f"`{path.name}`" not in sources
    ] == []
