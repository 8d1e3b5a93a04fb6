"""What is Ruler's own as values: explanations and counts, failures, logins, lists and the ping."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    RateLimited,
    ServerError,
    SettingsError,
    UnexpectedResponse,
    VendorError,
)
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus, Listed, Listing
from airflow_provider_jobstatus.core.tokens import DEFAULT_TOKEN_LIFE, Exchange, Token
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.hooks.ruler.login import login_flow
from tests.support.asking import asking, failures_flow, list_place
from tests.support.flows import finish, hook_of, reply
from tests.support.flows import sample as any_sample
from tests.support.flows import status_of as any_status

PASSWORD = "canary pass+word/9"
BASE = "https://rest.rulerapi.com/v1"


def sample(name: str) -> bytes:
    return any_sample(f"ruler/{name}")


def ruler(**fields: Any) -> RulerHook:
    hook: RulerHook = hook_of(RulerHook, **fields)
    return hook


def status_of(body: bytes | object) -> JobStatus:
    return any_status(ruler(), "site-1/rev-1", reply(body))


def by_login(**extra: Any) -> RulerHook:
    return ruler(login="jo@example.org", password=PASSWORD, extra=extra)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, "so all rows were rejected"),
        ({"totalRows": 9, "failureCount": 9, "successCount": 0}, "so all rows were rejected"),
        ({"failureCount": 9}, "so all rows were rejected"),
        ({"totalRows": 9}, "so all rows were rejected"),
        ({"totalRows": 12, "processedRows": 12}, "so all rows were rejected"),
        ({"totalRows": "9", "failureCount": None}, "so all rows were rejected"),
        ({"totalRows": 9, "failureCount": 4}, "which rows were rejected"),
        ({"totalRows": 9, "processedRows": 4, "failureCount": 4}, "which rows were rejected"),
        ({"failureCount": 4, "successCount": 5}, "which rows were rejected"),
        ({"successCount": 1, "percentageProgress": 100}, "which rows were rejected"),
        ({"totalRows": 9, "failureCount": 0}, "counts no rejected rows"),
        ({"failureCount": 0, "successCount": 9}, "counts no rejected rows"),
        ({"totalRows": 0, "failureCount": 0}, "counts no rejected rows"),
    ],
)
def test_what_is_said_of_a_failure_without_a_reason_agrees_with_its_counts(
    counts: dict[str, Any], said: str
) -> None:
    for reason in ({}, {"failureReason": None}, {"failureReason": ""}):
        status = status_of({"status": "failed", **reason, **counts})
        assert said in (status.detail or "")
        assert ("all rows were rejected" in (status.detail or "")) == (said == "so all rows were rejected")
        assert ("fetch the failures" in (status.detail or "")) == ("counts no" not in said)
        assert "None" not in status.describe() + (status.detail or "")


@pytest.mark.parametrize(
    ("name", "detail", "progress", "processed"),
    [
        ("pending", None, 0, 0),
        ("processing", None, 32, 80),
        ("complete", None, 100, 250),
        ("partialcomplete", None, 100, 250),
        ("failed-fatal", "The uploaded file has no rows.", 100, 0),
    ],
)
def test_a_detail_is_a_reason_of_the_vendors_and_progress_says_nothing_of_success(
    name: str, detail: str | None, progress: int, processed: int
) -> None:
    status = status_of(sample(f"status-{name}.json"))
    assert (status.detail, status.progress) == (detail, progress)
    assert (status.counts or {})["processed"] == processed
    assert status_of({"status": "processing", "percentageProgress": 100}).state is JobState.RUNNING


@pytest.mark.parametrize("before", [0, 480, 490, 495, 1000])
def test_an_explanation_is_short_and_never_holds_the_beginning_of_a_secret(before: int) -> None:
    reason = "x" * before + PASSWORD + "y" * 5000
    body = {"status": "failed", "failureReason": reason}
    detail = finish(asking(ruler(password=PASSWORD), "s/j"), reply(body)).detail
    assert len(detail) <= 500
    assert PASSWORD[:6] not in detail


def test_a_hostile_reason_is_one_short_line() -> None:
    detail = status_of(
        {"status": "failed", "failureReason": "gone\r\nlevel=ERROR \x00\u202e" + "x" * 9000}
    ).detail
    assert detail is not None
    assert detail.isprintable()
    # It is cut to 500 once our secrets are out of it.
    assert len(detail) <= 4000


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("2026-03-02T06:15:00", "2026-03-02T06:15:00+00:00"),
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


# Failures


@pytest.mark.parametrize(
    ("file_format", "accept"), [((), "text/csv"), (("csv",), "text/csv"), (("json",), "application/json")]
)
def test_failures_are_asked_for_in_a_format_and_are_the_open_response(file_format: Any, accept: str) -> None:
    request = next(failures_flow(ruler(), "s:1/rev;1", *file_format))
    shown = "json" if "json" in accept else "csv"
    assert (request.method, request.url) == ("GET", f"{BASE}/s%3A1/batch/rev%3B1/failures?format={shown}")
    assert request.headers["Accept"] == accept
    opened = Response(200, {"content-type": accept}, chunks=iter([b"a,b\n"]))
    assert finish(failures_flow(ruler(), "s/j", *file_format), opened) is opened


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, NotFound), *((status, VendorError) for status in (201, 202, 203, 204, 205, 206))],
)
def test_only_200_is_a_file_of_failures(status: int, kind: type[VendorError]) -> None:
    with pytest.raises(kind, match=f"{status}"):
        finish(failures_flow(ruler(), "s/j"), Response(status, {"content-type": "text/csv"}))


def test_a_refused_login_names_the_user_too() -> None:
    assert by_login().shown_credential() == "the user (login) and the password"
    assert ruler().shown_credential() == "the access token (password)"


def test_a_login_goes_to_its_own_host_without_a_credential_in_its_head() -> None:
    for hook, url in (
        (by_login(), "https://authapi.rulerapi.com/v1/login"),
        (by_login(auth_url="https://auth.example/in"), "https://auth.example/in"),
    ):
        exchange = next(asking(hook, "s/j"))
        assert isinstance(exchange, Exchange)
        request = next(exchange.flow())
        assert (request.url, "Authorization" in request.headers) == (url, False)
    with pytest.raises(SettingsError, match="extra 'auth_url' is plain http"):
        next(asking(by_login(auth_url="http://auth.example/in"), "s/j"))
    with pytest.raises(SettingsError, match="password is not set; set it to an access token, or a password"):
        next(asking(ruler(password="", login="jo"), "s/j"))


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


WITHOUT = "answered a login without an access_token"


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        ({}, UnexpectedResponse, ""),
        ({"access_token": None}, UnexpectedResponse, ""),
        ({"access_token": ""}, UnexpectedResponse, ""),
        ({"access_token": 7}, UnexpectedResponse, ""),
        # May succeed later.
        ({"error": "temporarily_unavailable"}, UnexpectedResponse, ": temporarily_unavailable"),
        ({"error": "slow_down", "error_description": "wait"}, UnexpectedResponse, ": slow_down: wait"),
        ({"message": f"no session for {PASSWORD}"}, UnexpectedResponse, ": no session for ***"),
        ({"error": None, "error_description": 5}, UnexpectedResponse, ""),
        ({"error": ["invalid_client"]}, UnexpectedResponse, ""),
        # Refused, with a 200.
        ({"error": "invalid_client"}, AccessDenied, ": invalid_client"),
        (
            {"error": "INVALID_GRANT ", "error_description": "is locked"},
            AccessDenied,
            ": INVALID_GRANT: is locked",
        ),
        (
            {"error": {"code": "unauthorized_client", "message": "no"}, "access_token": ""},
            AccessDenied,
            ": unauthorized_client: no",
        ),
        (
            {"error": "invalid_scope", "error_description": f"for {PASSWORD}"},
            AccessDenied,
            ": invalid_scope: for ***",
        ),
    ],
)
def test_a_login_without_a_token_is_refused_where_it_says_so_and_else_unexpected(
    body: dict[str, Any], kind: type[VendorError], said: str
) -> None:
    with pytest.raises(kind) as caught:
        login(reply(body))
    assert (type(caught.value), caught.value.reason) == (kind, WITHOUT + said)
    if isinstance(caught.value, AccessDenied):
        assert (caught.value.login, caught.value.status) == (True, 200)
    assert login(reply({"error": "invalid_client", "access_token": "t"})).value == "t"


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


@pytest.mark.parametrize(
    ("site", "listed", "answer", "said"),
    [
        (
            "site-9",
            "site-9",
            sample("jobs.json"),
            "Ruler accepts the credentials and lists the jobs of site site-9",
        ),
        # No page shows its errors: a list of jobs alone proves that Ruler answers.
        (
            None,
            "no-such-site",
            b"[]",
            "Ruler accepts the credentials; no site was asked for, as extra 'site_id'",
        ),
    ],
)
def test_a_ping_lists_the_jobs_of_the_default_site(
    site: str | None, listed: str, answer: bytes, said: str
) -> None:
    flow = ruler(extra={"site_id": site}).ping_flow()
    request = next(flow)
    assert (request.method, request.url) == ("GET", f"{BASE}/{listed}/batch/jobs")
    assert finish(ruler(extra={"site_id": site}).ping_flow(), reply(answer)).startswith(said)


@pytest.mark.parametrize(
    ("site", "status"),
    [
        *((None, status) for status in (400, 401, 403, 404, 500)),
        *(("s", status) for status in (400, 401, 404, 503)),
    ],
)
def test_a_ping_that_is_refused_or_fails_is_an_error(site: str | None, status: int) -> None:
    with pytest.raises(VendorError) as caught:
        finish(ruler(extra={"site_id": site}).ping_flow(), reply(b'{"message": "Not Found"}', status))
    assert f"answered {status}" in str(caught.value)
    proves_nothing = "as no page shows its errors: set extra 'site_id'" in str(caught.value)
    assert proves_nothing == (site is None and status in (400, 404))


# The list


def listing_of(body: bytes | object, status: int = 200) -> Listing:
    result = finish(ruler().list_flow("site-1"), reply(body, status))
    assert isinstance(result, Listing)
    return result


def test_a_job_stands_in_the_list_of_its_site() -> None:
    assert list_place(ruler(), "site-1/rev-1") == ("site-1", "rev-1")
    assert list_place(ruler(extra={"site_id": "site-2"}), "rev-1") == ("site-2", "rev-1")


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
