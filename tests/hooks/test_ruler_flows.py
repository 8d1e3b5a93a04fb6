"""Conversations with Ruler Analytics as values: no server, no transport."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import requests
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
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus, Listed, Listing
from airflow_provider_jobstatus.core.tokens import DEFAULT_TOKEN_LIFE, Exchange, Token
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.hooks.ruler.login import login_flow
from tests.support.asking import asking, failures_flow, list_place, status_flow

SAMPLES = Path(__file__).parent.parent / "samples" / "ruler"
PASSWORD = "canary pass+word/9"
BASE = "https://rest.rulerapi.com/v1"


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def ruler(**fields: Any) -> RulerHook:
    fields = {"conn_id": "my_ruler", "conn_type": "ruler", "password": "token-1", **fields}
    fields["extra"] = json.dumps(fields.get("extra") or {})
    return RulerHook.from_connection(Connection(**fields))


def by_login(**extra: Any) -> RulerHook:
    return ruler(login="jo@example.org", password=PASSWORD, extra=extra)


def reply(body: bytes | object = b"", status: int = 200, **headers: str) -> Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): text for name, text in headers.items()}, raw)


def finish(flow: Flow[Any], *answers: Any) -> Any:
    """Send answers to a flow, one by one, and return its result."""
    next(flow)
    try:
        for answer in answers:
            flow.send(answer)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the flow asks on")


def status_of(body: bytes | object, **fields: Any) -> JobStatus:
    result = finish(status_flow(ruler(**fields), "site-1/rev-1"), reply(body))
    assert isinstance(result, JobStatus)
    return result


# Status


def test_a_status_is_one_get_below_the_site_and_the_job() -> None:
    request = next(status_flow(ruler(), "site-1/rev-1"))
    assert (request.method, request.url) == ("GET", f"{BASE}/site-1/batch/rev-1/status")
    assert request.body is None


@pytest.mark.parametrize(
    ("name", "state", "progress", "processed"),
    [
        ("pending", JobState.RUNNING, 0, 0),
        ("processing", JobState.RUNNING, 32, 80),
        ("complete", JobState.SUCCEEDED, 100, 250),
        ("partialcomplete", JobState.PARTIAL, 100, 250),
        ("failed-all-rows", JobState.FAILED, 100, 12),
        ("failed-fatal", JobState.FAILED, 100, 0),
    ],
)
def test_each_documented_status_has_its_state(
    name: str, state: JobState, progress: int, processed: int
) -> None:
    status = status_of(sample(f"status-{name}.json"))
    assert (status.state, status.progress) == (state, progress)
    assert status.vendor_status == name.partition("-")[0]
    assert (status.counts or {})["processed"] == processed
    assert (status.job_id, status.vendor) == ("site-1/rev-1", "ruler")


def test_the_whole_of_a_status_is_read() -> None:
    assert status_of(sample("status-partialcomplete.json")).as_dict() == {
        "job_id": "site-1/rev-1",
        "vendor": "ruler",
        "state": "partial",
        "vendor_status": "partialcomplete",
        "detail": None,
        "progress": 100,
        "counts": {"total": 250, "processed": 250, "succeeded": 241, "failed": 9},
        "created_at": "2026-03-02T06:15:00+00:00",
        "completed_at": "2026-03-02T06:18:40+00:00",
    }


def test_the_smallest_reply_is_enough() -> None:
    assert status_of({"status": "processing"}) == JobStatus(
        "site-1/rev-1", "ruler", JobState.RUNNING, "processing"
    )


def test_terminal_does_not_mean_success() -> None:
    states = {word: status_of({"status": word}).state for word in RulerHook.statuses}
    assert [word for word, state in states.items() if state is JobState.SUCCEEDED] == ["complete"]
    assert {word for word, state in states.items() if state.terminal} == {
        "complete",
        "partialcomplete",
        "failed",
    }


def test_100_percent_and_failed_is_failed() -> None:
    status = status_of({"status": "failed", "percentageProgress": 100, "successCount": 12})
    assert (status.state, status.progress) == (JobState.FAILED, 100)


def test_100_percent_and_processing_still_runs() -> None:
    assert status_of({"status": "processing", "percentageProgress": 100}).state is JobState.RUNNING


@pytest.mark.parametrize("reason", [{}, {"failureReason": None}, {"failureReason": ""}])
def test_failed_without_reason_prints_no_none(reason: dict[str, Any]) -> None:
    status = status_of({"status": "failed", "totalRows": 12, "processedRows": 12, **reason})
    assert status.detail is not None
    assert "fetch the failures" in status.detail
    assert "None" not in status.describe()
    assert "None" not in status.detail


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"totalRows": 9, "failureCount": 9, "successCount": 0}, "so all rows were rejected"),
        ({"failureCount": 9}, "so all rows were rejected"),
        ({"totalRows": 9}, "so all rows were rejected"),
        ({"totalRows": "9", "failureCount": None}, "so all rows were rejected"),
        ({"totalRows": 9, "failureCount": 4}, "which rows were rejected"),
        ({"totalRows": 9, "processedRows": 4, "failureCount": 4}, "which rows were rejected"),
        ({"failureCount": 4, "successCount": 5}, "which rows were rejected"),
        ({"successCount": 1}, "which rows were rejected"),
        ({"totalRows": 9, "failureCount": 0}, "counts no rejected rows"),
        ({"failureCount": 0, "successCount": 9}, "counts no rejected rows"),
        ({"totalRows": 0, "failureCount": 0}, "counts no rejected rows"),
    ],
)
def test_what_is_said_of_a_failure_without_a_reason_agrees_with_its_counts(
    counts: dict[str, Any], said: str
) -> None:
    detail = status_of({"status": "failed", "failureReason": None, **counts}).detail
    assert detail is not None
    assert said in detail
    assert ("all rows were rejected" in detail) == (said == "so all rows were rejected")


def test_failed_with_a_reason_says_the_reason_and_nothing_else() -> None:
    assert status_of(sample("status-failed-fatal.json")).detail == "The uploaded file has no rows."


@pytest.mark.parametrize("name", ["pending", "processing", "complete", "partialcomplete"])
def test_no_other_status_makes_up_a_detail(name: str) -> None:
    assert status_of(sample(f"status-{name}.json")).detail is None


def test_a_hostile_reason_is_one_short_line() -> None:
    detail = status_of(
        {"status": "failed", "failureReason": "gone\r\nlevel=ERROR \x00\u202e" + "x" * 9000}
    ).detail
    assert detail is not None
    assert detail.isprintable()
    # It is cut to 500 once our secrets are out of it.
    assert len(detail) <= 4000


def test_naive_datetimes_are_utc() -> None:
    status = status_of(sample("status-complete.json"))
    assert status.created_at is not None
    assert status.completed_at is not None
    created = datetime.fromisoformat(status.created_at)
    assert created == datetime(2026, 3, 2, 6, 15, tzinfo=UTC)
    assert datetime.fromisoformat(status.completed_at) > created  # comparing naive with aware would raise


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("2026-03-02T06:15:00Z", "2026-03-02T06:15:00+00:00"),
        ("2026-03-02T06:15:00.123456", "2026-03-02T06:15:00.123456+00:00"),
        ("2026-03-02T07:15:00+01:00", "2026-03-02T07:15:00+01:00"),
        (None, None),
        ("", None),
        ("soon", None),
        (1772432100, None),
        ("0001-01-01T00:00:00", "0001-01-01T00:00:00+00:00"),
    ],
)
def test_a_time_is_read_or_left_out(value: Any, read: str | None) -> None:
    status = status_of({"status": "processing", "createdDateTime": value, "completedDateTime": value})
    assert (status.created_at, status.completed_at) == (read, read)


@pytest.mark.parametrize("value", [None, "many", "1.5", True, [], {}, -1, 2**70])
def test_a_count_that_is_no_count_is_none(value: Any) -> None:
    counts = status_of({"status": "processing", "totalRows": 7, "failureCount": value}).counts
    assert counts == {"total": 7, "processed": None, "succeeded": None, "failed": None}
    assert status_of({"status": "processing", "totalRows": value}).counts is None


@pytest.mark.parametrize(
    ("value", "progress"), [(None, None), ("32", None), (True, None), (32.9, 32), (-5, 0), (250, 100)]
)
def test_progress_is_a_whole_percent_or_none(value: Any, progress: int | None) -> None:
    assert status_of({"status": "processing", "percentageProgress": value}).progress == progress


@pytest.mark.parametrize("word", ["partial_complete", "PartialCompleted", "completed", "success", "", "None"])
def test_a_word_that_the_page_does_not_list_is_never_taken_for_one_that_it_does(word: str) -> None:
    with pytest.raises(UnexpectedResponse, match="extra 'statuses' of connection 'my_ruler'"):
        status_of({"status": word})


def test_the_connection_may_teach_ruler_a_word() -> None:
    fields = {"extra": {"statuses": {"Queued": "running"}}}
    assert status_of({"status": "queued"}, **fields).state is JobState.RUNNING


@pytest.mark.parametrize("named", [{}, {"jobId": None}, {"jobId": "rev-1"}])
def test_a_status_needs_no_job_id_in_the_body(named: dict[str, Any]) -> None:
    assert status_of({"status": "complete", **named}).job_id == "site-1/rev-1"


@pytest.mark.parametrize("named", ["rev-2", "REV-1", "rev-1 ", "site-1/rev-1", "", 1, True, ["rev-1"], {}])
def test_trap_the_status_of_another_job_is_none_of_ours(named: Any) -> None:
    with pytest.raises(UnexpectedResponse, match="answered for the job"):
        status_of({"status": "complete", "jobId": named})


@pytest.mark.parametrize(
    "body", [b"", b"  ", b"null", b"[]", b'"complete"', b"{", b'{"status": NaN}', b"\xff"]
)
def test_a_body_that_is_no_json_object_is_no_status(body: bytes) -> None:
    with pytest.raises(UnexpectedResponse):
        status_of(body)


def test_an_html_page_with_status_200_is_no_status() -> None:
    with pytest.raises(UnexpectedResponse) as caught:
        finish(
            status_flow(ruler(), "s/j"),
            reply(sample("error-page.html"), content_type="text/html; charset=utf-8"),
        )
    assert "text/html" in str(caught.value)
    assert "We will be back" not in str(caught.value)


@pytest.mark.parametrize("body", [sample("error-page.html"), b"", b'{"message": "no"}', b"\xff\xfe\x00"])
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, RequestRejected),
        (401, AccessDenied),
        (403, AccessDenied),
        (404, NotFound),
        (410, NotFound),
        (422, RequestRejected),
        (429, RateLimited),
        (500, ServerError),
        (503, ServerError),
        (302, UnexpectedResponse),
    ],
)
def test_an_error_of_any_body_is_known_by_its_status(
    status: int, error: type[VendorError], body: bytes
) -> None:
    with pytest.raises(error) as caught:
        finish(status_flow(ruler(), "site-1/rev-1"), reply(body, status, content_type="text/html"))
    found = caught.value
    asked = (found.vendor, found.method, found.path)
    assert asked == ("ruler", "GET", "/v1/site-1/batch/rev-1/status")
    assert found.status == status
    for piece in (*asked, f"answered {status}"):
        assert piece in str(found)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700


# Job ids


@pytest.mark.parametrize(
    ("job_id", "site_id", "path"),
    [
        ("site-1/rev-1", None, "site-1/batch/rev-1"),
        ("site-1/rev-1", "other", "site-1/batch/rev-1"),
        ("rev-1", "site-9", "site-9/batch/rev-1"),
        ("rev-1", " site-9 ", "site-9/batch/rev-1"),
        ("rev-1", 9, "9/batch/rev-1"),
        ("  site-1/rev-1\n", None, "site-1/batch/rev-1"),
        (41, "site-9", "site-9/batch/41"),
        ("site-1/b2c7-4d", None, "site-1/batch/b2c7-4d"),
        ("s:1/j;2&x=y", None, "s%3A1/batch/j%3B2%26x%3Dy"),
        ("s/..j", None, "s/batch/..j"),
    ],
)
def test_a_job_id_names_its_site_or_takes_the_connections(job_id: Any, site_id: Any, path: str) -> None:
    hook = ruler(extra={"site_id": site_id})
    assert next(status_flow(hook, job_id)).url == f"{BASE}/{path}/status"
    assert next(failures_flow(hook, job_id)).url == f"{BASE}/{path}/failures?format=csv"


@pytest.mark.parametrize("job_id", ["rev-1", "41", 41])
def test_a_job_id_without_a_site_says_how_to_give_one(job_id: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        next(status_flow(ruler(), job_id))
    text = str(caught.value)
    assert "'<siteId>/<jobId>'" in text
    assert "extra 'site_id' of connection 'my_ruler'" in text


@pytest.mark.parametrize(
    "job_id",
    [
        "",
        "  ",
        "None",
        "null",
        None,
        True,
        1.5,
        b"s/j",
        ["s/j"],
        {"job_id": "s/j"},
        "/",
        "/j",
        "s/",
        "s/ /j",
        "a/b/c",
        "s/../j",
        "../j",
        "s/..",
        "s/.",
        "./j",
        "s/%2e%2e",
        "s/%2F",
        "s/j?x=1",
        "s/j#x",
        "s/j\\k",
        "s/j k",
        "s/j\nk",
        "s/jö",
        "s/j\u2025",
        "s/\u202ej",
        "https://evil.example/j",
        "//evil.example/j",
        "s/" + "j" * 500,
    ],
)
def test_a_malformed_job_id_is_refused_before_anything_is_asked(job_id: Any) -> None:
    for flow in (status_flow(ruler(), job_id), failures_flow(ruler(), job_id)):
        with pytest.raises(SettingsError, match="job_id"):
            next(flow)


@pytest.mark.parametrize("site_id", ["a/b", "..", "s?x", "s%2f", "ä"])
def test_a_malformed_site_of_the_connection_is_refused_too(site_id: str) -> None:
    with pytest.raises(SettingsError):
        next(status_flow(ruler(extra={"site_id": site_id}), "rev-1"))


ODD_IDS = st.text(max_size=30) | st.text("aZ09./%2eEfF\\?#;:@&=+~ \t\n-_é\u2025\u2215", max_size=30)


@settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(ODD_IDS, st.sampled_from([None, "site-9"]))
@example("s/%2e%2e", None)
@example("../..", None)
@example("s/j;..", None)
def test_no_job_id_leads_outside_its_site_and_job(job_id: str, site_id: str | None) -> None:
    hook = ruler(extra={"site_id": site_id} if site_id else {})
    for flow, last in ((status_flow, "status"), (failures_flow, "failures")):
        try:
            request = next(flow(hook, job_id))
        except SettingsError:
            continue
        # As our client puts it on the wire.
        target = requests.Request("GET", request.url).prepare().url or ""
        parts = urlsplit(target)
        assert (parts.scheme, parts.netloc) == ("https", "rest.rulerapi.com")
        assert (parts.query, parts.fragment) == ("format=csv" if last == "failures" else "", "")
        empty, version, site, batch, job, end = parts.path.split("/")
        assert (empty, version, batch, end) == ("", "v1", "batch", last)
        named_site, _, named_job = job_id.strip().rpartition("/")
        assert (unquote(site), unquote(job)) == (named_site or site_id, named_job)
        assert site.strip(".")
        assert job.strip(".")


# Failures


@pytest.mark.parametrize(("file_format", "accept"), [("csv", "text/csv"), ("json", "application/json")])
def test_failures_are_streamed_and_their_format_is_always_said(file_format: Any, accept: str) -> None:
    request = next(failures_flow(ruler(), "site-1/rev-1", file_format))
    assert request.method == "GET"
    assert request.url == f"{BASE}/site-1/batch/rev-1/failures?format={file_format}"
    assert request.headers["Accept"] == accept


def test_csv_is_the_default_of_failures() -> None:
    assert next(failures_flow(ruler(), "s/j")).url.endswith("?format=csv")


def test_failures_end_in_the_open_reply() -> None:
    opened = Response(200, {"content-type": "text/csv"}, chunks=iter([b"a,b\n"]))
    assert finish(failures_flow(ruler(), "s/j"), opened) is opened


@pytest.mark.parametrize("status", [201, 202, 203, 204, 205, 206])
def test_only_200_is_a_file_of_failures(status: int) -> None:
    with pytest.raises(VendorError, match=f"{status}"):
        finish(failures_flow(ruler(), "s/j"), Response(status, {"content-type": "text/csv"}))


def test_failures_that_are_not_there_are_not_found() -> None:
    with pytest.raises(NotFound):
        finish(failures_flow(ruler(), "s/j"), reply(status=404))


# Credentials


def test_a_refused_login_names_the_user_too() -> None:
    assert by_login().shown_credential() == "the user (login) and the password"
    assert ruler().shown_credential() == "the access token (password)"


def test_an_access_token_needs_no_login() -> None:
    request = next(asking(ruler(password="token-1"), "s/j"))
    assert isinstance(request, Request)
    assert request.headers["Authorization"] == "Bearer token-1"


def test_a_refused_access_token_is_refused_at_once() -> None:
    with pytest.raises(AccessDenied):
        finish(asking(ruler(), "s/j"), reply(status=401))


def test_the_token_host_is_not_the_rest_host() -> None:
    exchange = next(asking(by_login(), "s/j"))
    assert isinstance(exchange, Exchange)
    login = next(exchange.flow())
    assert login.url == "https://authapi.rulerapi.com/v1/login"
    request = next(status_flow(ruler(), "s/j"))
    assert urlsplit(request.url).hostname == "rest.rulerapi.com"


def test_the_login_url_may_be_another() -> None:
    exchange = next(asking(by_login(auth_url="https://auth.example/in"), "s/j"))
    assert next(exchange.flow()).url == "https://auth.example/in"


def test_a_login_url_in_plain_http_is_refused() -> None:
    with pytest.raises(SettingsError, match="extra 'auth_url' is plain http"):
        asking(by_login(auth_url="http://auth.example/in"), "s/j").send(None)


def test_a_login_is_a_form_with_two_fields() -> None:
    request = next(login_flow(by_login(), "https://auth.example/in", "jo@example.org", PASSWORD))
    assert request.method == "POST"
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded"}
    fields = parse_qs((request.body or b"").decode(), strict_parsing=True)
    assert fields == {"username": ["jo@example.org"], "password": [PASSWORD]}
    assert PASSWORD not in request.url
    assert PASSWORD not in repr(request)


def login(*answers: Response) -> Token:
    flow = login_flow(by_login(), "https://auth.example/in", "jo@example.org", PASSWORD)
    token = finish(flow, *answers)
    assert isinstance(token, Token)
    return token


def test_a_login_brings_a_token_and_its_life() -> None:
    token = login(reply(sample("login.json")))
    assert (token.value, token.life) == ("sample-access-token-9d1", 1800.0)
    assert token.value not in repr(token)


@pytest.mark.parametrize("expires_in", [None, "soon", 0, -1, [], "nan"])
def test_a_token_of_unknown_life_is_trusted_for_a_few_minutes_only(expires_in: Any) -> None:
    assert login(reply({"access_token": "t", "expires_in": expires_in})).life == DEFAULT_TOKEN_LIFE
    assert login(reply({"access_token": "t"})).life == DEFAULT_TOKEN_LIFE


@pytest.mark.parametrize("body", [{}, {"access_token": None}, {"access_token": ""}, {"access_token": 7}])
def test_a_login_without_a_token_is_unexpected(body: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedResponse, match="without an access_token"):
        login(reply(body))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": "invalid_client"}, "invalid_client"),
        ({"error": "INVALID_GRANT ", "error_description": "user is locked"}, "INVALID_GRANT: user is locked"),
        (
            {"error": {"code": "unauthorized_client", "message": "no"}, "access_token": ""},
            "unauthorized_client: no",
        ),
        ({"error": "invalid_scope", "error_description": f"for {PASSWORD}"}, "invalid_scope: for ***"),
    ],
)
def test_a_login_that_is_refused_with_a_200_is_denied_and_says_why(body: dict[str, Any], said: str) -> None:
    with pytest.raises(AccessDenied) as caught:
        login(reply(body))
    assert caught.value.login
    assert caught.value.status == 200
    assert caught.value.reason == f"answered a login without an access_token: {said}"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": "temporarily_unavailable"}, ": temporarily_unavailable"),
        ({"error": "slow_down", "error_description": "wait"}, ": slow_down: wait"),
        ({"message": f"no session for {PASSWORD}"}, ": no session for ***"),
        ({"error": None, "error_description": 5}, ""),
        ({"error": ["invalid_client"]}, ""),
    ],
)
def test_a_login_without_a_token_for_another_reason_may_succeed_later(
    body: dict[str, Any], said: str
) -> None:
    with pytest.raises(UnexpectedResponse) as caught:
        login(reply(body))
    assert caught.value.reason == f"answered a login without an access_token{said}"


def test_a_token_counts_whatever_stands_beside_it() -> None:
    assert login(reply({"access_token": "t", "error": "invalid_client"})).value == "t"


@pytest.mark.parametrize("status", [400, 401, 403, 422])
def test_a_refused_login_is_denied_and_shows_no_password(status: int) -> None:
    form = next(login_flow(by_login(), "https://a.example", "jo@example.org", PASSWORD)).body or b""
    for echo in (PASSWORD.encode(), form):
        flow = asking(by_login(), "s/j")
        exchange = next(flow)
        with pytest.raises(AccessDenied) as caught:
            finish(exchange.flow(), reply(b"wrong: " + echo, status))
        with pytest.raises(AccessDenied) as shown:
            flow.throw(caught.value)
        assert "canary" not in str(shown.value)
        assert shown.value.status == status
        assert str(status) in str(shown.value)


@pytest.mark.parametrize("status", [400, 401, 503])
@pytest.mark.parametrize("before", range(450, 500, 5))
def test_no_beginning_of_the_password_is_left_where_a_long_reply_is_cut(status: int, before: int) -> None:
    flow = asking(by_login(), "s/j")
    exchange = next(flow)
    with pytest.raises(VendorError) as caught:
        finish(exchange.flow(), reply(b"x" * before + PASSWORD.encode(), status))
    with pytest.raises(VendorError) as shown:
        flow.throw(caught.value)
    assert "canary" not in str(shown.value)


@pytest.mark.parametrize(("status", "error"), [(404, NotFound), (429, RateLimited), (503, ServerError)])
def test_a_login_that_may_work_later_is_no_refusal(status: int, error: type[VendorError]) -> None:
    with pytest.raises(error):
        login(reply(b"", status))


def test_a_refused_token_leads_to_one_new_login_and_one_repetition() -> None:
    flow = asking(by_login(auth_url="https://auth.example/again"), "s/j")
    exchange = next(flow)
    first = flow.send(exchange.slot.store(Token("token-1", 3600)))
    assert first.headers["Authorization"] == "Bearer token-1"
    again = flow.send(reply(status=401))
    assert isinstance(again, Exchange)
    assert again.slot.token is None
    second = flow.send(again.slot.store(Token("token-2", 3600)))
    assert (second.url, second.headers["Authorization"]) == (first.url, "Bearer token-2")
    with pytest.raises(AccessDenied):
        flow.send(reply(b"token-2 is no good either", status=401))


def test_a_403_is_not_mended_by_a_new_login() -> None:
    flow = asking(by_login(auth_url="https://auth.example/forbidden"), "s/j")
    exchange = next(flow)
    flow.send(exchange.slot.store(Token("token-1", 3600)))
    with pytest.raises(AccessDenied):
        flow.send(reply(status=403))


def test_one_login_has_one_slot_and_another_login_another() -> None:
    def slot(**fields: Any) -> Any:
        hook = ruler(**({"login": "jo", "password": PASSWORD} | fields))
        return next(asking(hook, "s/j")).slot

    assert slot() is slot()
    others = [
        slot(login="al"),
        slot(password="another-password"),
        slot(extra={"auth_url": "https://a.example"}),
    ]
    assert len({id(found) for found in (slot(), *others)}) == 4


def test_a_connection_without_a_password_is_named_with_its_fix() -> None:
    for fields in ({"password": None}, {"password": "", "login": "jo"}):
        with pytest.raises(
            SettingsError, match="connection 'my_ruler': password is not set; set it to an acc"
        ):
            next(asking(ruler(**fields), "s/j"))


def test_no_credential_travels_to_the_login_host() -> None:
    exchange = next(asking(by_login(), "s/j"))
    assert "Authorization" not in next(exchange.flow()).headers


# Ping


def test_a_ping_lists_the_default_sites_jobs() -> None:
    flow = ruler(extra={"site_id": "site-9"}).ping_flow()
    request = next(flow)
    assert (request.method, request.url) == ("GET", f"{BASE}/site-9/batch/jobs")
    with pytest.raises(StopIteration) as stop:
        flow.send(reply(sample("jobs.json")))
    assert "site-9" in stop.value.value


def test_a_ping_without_a_site_shows_only_that_the_token_is_accepted() -> None:
    flow = ruler().ping_flow()
    assert next(flow).url == f"{BASE}/no-such-site/batch/jobs"
    with pytest.raises(StopIteration) as stop:
        flow.send(reply(b"[]"))
    assert "extra 'site_id' is not set" in stop.value.value


@pytest.mark.parametrize("status", [400, 404])
def test_a_ping_without_a_site_that_finds_an_error_proves_nothing_and_says_what_would(status: int) -> None:
    flow = ruler().ping_flow()
    next(flow)
    with pytest.raises(UnexpectedResponse) as caught:
        flow.send(reply(b'{"message": "Not Found"}', status))
    assert f"answered {status}" in str(caught.value)
    assert "as no page shows its errors: set extra 'site_id'" in str(caught.value)


@pytest.mark.parametrize(
    ("site", "status"),
    [(None, 401), (None, 403), (None, 500), ("s", 401), ("s", 404), ("s", 400), ("s", 503)],
)
def test_a_ping_that_is_refused_or_fails_is_an_error(site: str | None, status: int) -> None:
    flow = ruler(extra={"site_id": site}).ping_flow()
    next(flow)
    with pytest.raises(VendorError):
        flow.send(reply(b"", status))


@pytest.mark.parametrize("site", [None, "site-9"])
@pytest.mark.parametrize("body", [sample("error-page.html"), b"", b'{"jobs": []}', b"7"])
def test_a_ping_that_finds_something_else_than_ruler_is_an_error(site: str | None, body: bytes) -> None:
    flow = ruler(extra={"site_id": site}).ping_flow()
    next(flow)
    with pytest.raises(UnexpectedResponse):
        flow.send(reply(body, content_type="text/html"))


def test_every_sample_has_a_source() -> None:
    sources = (SAMPLES / "SOURCES.md").read_text()
    assert [
        path.name
        for path in SAMPLES.iterdir()
        if path.name != "SOURCES.md" and f"`{path.name}`" not in sources
    ] == []


# The list


def listing_of(body: bytes | object, status: int = 200) -> Listing:
    result = finish(ruler().list_flow("site-1"), reply(body, status))
    assert isinstance(result, Listing)
    return result


def test_a_job_stands_in_the_list_of_its_site() -> None:
    assert list_place(ruler(), "site-1/rev-1") == ("site-1", "rev-1")
    assert list_place(ruler(extra={"site_id": "site-2"}), "rev-1") == ("site-2", "rev-1")


def test_the_list_is_one_get() -> None:
    request = next(ruler().list_flow("site-1"))
    assert (request.method, request.url) == ("GET", f"{BASE}/site-1/batch/jobs")


def test_the_list_tells_word_and_progress_of_each_job() -> None:
    listing = listing_of(sample("jobs.json"))
    assert listing == Listing({"rev-101": Listed("complete", 100), "opp-7": Listed("processing", 32)})


def test_what_the_list_tells_of_a_job_is_its_status_but_for_the_counts() -> None:
    status = ruler().listed_status("site-1/opp-7", Listed("processing", 32))
    assert status == JobStatus("site-1/opp-7", "ruler", JobState.RUNNING, "processing", progress=32)


def test_a_word_that_nobody_knows_is_said_to_be_unknown() -> None:
    assert not ruler().listed_status("site-1/a", Listed("mystery")).known
    known = ruler(extra={"statuses": {"mystery": "failed"}}).listed_status("site-1/a", Listed("Mystery "))
    assert (known.known, known.state) == (True, JobState.FAILED)


@pytest.mark.parametrize(
    "entry",
    [None, 7, "rev-1", [], {}, {"jobId": "a"}, {"status": "complete"}, {"jobId": 7, "status": "complete"},
     {"jobId": "a", "status": None}, {"jobId": "a", "status": ["complete"]}],
    ids=str,
)  # fmt: skip
def test_an_entry_that_is_none_is_left_out(entry: object) -> None:
    assert listing_of([entry, {"jobId": "b", "status": "pending"}]).jobs == {"b": Listed("pending")}


def test_a_job_that_stands_there_twice_is_left_out() -> None:
    twice = [{"jobId": "a", "status": "processing"}, {"jobId": "b", "status": "pending"}]
    assert listing_of([*twice, {"jobId": "a", "status": "complete"}]).jobs == {"b": Listed("pending")}
    assert listing_of([*twice, twice[0]]).jobs == {"b": Listed("pending")}


@pytest.mark.parametrize("body", [b"", b"<html>", {"jobs": []}, None, "text", 7, b"[{}"], ids=str)
def test_what_is_no_list_is_refused(body: Any) -> None:
    with pytest.raises(UnexpectedResponse):
        listing_of(body)


def test_a_list_that_is_refused_says_so() -> None:
    with pytest.raises(AccessDenied):
        listing_of(b"", 403)
