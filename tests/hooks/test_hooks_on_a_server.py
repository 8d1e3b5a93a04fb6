"""The hooks against a server: what they ask, whom they show a credential, and the Test button."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from airflow.sdk._shared.secrets_masker import redact

from airflow_provider_jobstatus.core.auth import ExchangedToken
from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    RequestRejected,
    SettingsError,
    TransportError,
    UnexpectedResponse,
)
from airflow_provider_jobstatus.core.http import Flow
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.core.tokens import Exchange, TokenSlot
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.questionpro import QuestionProHook
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.support.asking import asking, file_flow
from tests.support.flows import sample
from tests.support.raw_server import RawServer, Received, reply

HOOKS: dict[str, type[BatchJobHook]] = {
    hook.conn_type: hook for hook in (AftercareHook, QuestionProHook, RulerHook, TalkdeskHook)
}
#: A job of each, and the path of its status.
JOBS = {
    "aftercare": (
        "7c1e5b0a-93d4-4f6e-8b21-5a0de6f4c377",
        "/api/v1/coding/7c1e5b0a-93d4-4f6e-8b21-5a0de6f4c377",
    ),
    "questionpro": ("88123456", "/a/api/v2/micropanel/batches/88123456"),
    "ruler": ("demo-site/rev-1", "/v1/demo-site/batch/rev-1/status"),
    "talkdesk": ("calls/0f9c", "/data/reports/calls/jobs/0f9c"),
}
NO_TIME = {
    "ruler": {"pending_seconds": 0, "processing_seconds": 0},
    "talkdesk": {"created_seconds": 0, "processing_seconds": 0, "uploading_seconds": 0},
}
LOGINS = {"ruler": ("auth", "POST", "/v1/login"), "talkdesk": ("auth", "POST", "/oauth/token")}
FAILURES = "/v1/demo-site/batch/rev-1/failures"


def status_call(vendor: str) -> tuple[str, str, str]:
    return ("api", "GET", JOBS[vendor][1])


def on_a_worker(hook: BatchJobHook, job_id: str) -> JobStatus:
    return hook.job_status(job_id)


def in_a_loop(hook: BatchJobHook, job_id: str) -> JobStatus:
    """Ask as a triggerer does."""

    async def main() -> JobStatus:
        async with hook.aconnect() as client:
            return await client.run(asking(hook, job_id))

    return asyncio.run(main())


Ask = Callable[[Any, str], JobStatus]
BOTH = pytest.mark.parametrize("ask", [on_a_worker, in_a_loop])
EACH = pytest.mark.parametrize("vendor", HOOKS)
WITH_LOGIN = pytest.mark.parametrize("vendor", LOGINS)


def put_job(sandbox: Sandbox, vendor: str, **spec: Any) -> None:
    sandbox.put_job(vendor, JOBS[vendor][0], **(NO_TIME.get(vendor, {}) | spec))


@pytest.fixture
def ended(sandbox: Sandbox) -> Sandbox:
    """A sandbox with an upload that ended with three of ten rows rejected, and a report that is done."""
    put_job(sandbox, "ruler", total_rows=10, failed_rows=3)
    put_job(sandbox, "talkdesk", rows=40)
    return sandbox


@pytest.fixture
def connect(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Define a vendor's default connection, with changes to the sandbox's own."""

    def define(vendor: str, form: str = "", **changes: Any) -> None:
        connection = sandbox.connection(vendor, **({form: True} if form else {}))
        extra = connection.get("extra", {}) | changes.pop("extra", {})
        value = json.dumps(connection | changes | {"extra": extra})
        monkeypatch.setenv(f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT", value)

    return define


def asked(sandbox: Sandbox) -> list[tuple[str, str, str]]:
    return [(request["origin"], request["method"], request["target"]) for request in sandbox.requests]


@BOTH
@pytest.mark.parametrize(
    ("vendor", "times", "words"),
    [
        (
            "aftercare",
            {"queued_seconds": 10, "processing_seconds": 10},
            ["queued", "processing", "completed"],
        ),
        ("questionpro", {"running_seconds": 20}, ["Scheduled", "Sending", "Delivery Successful"]),
        ("ruler", {"pending_seconds": 10, "processing_seconds": 10}, ["pending", "processing", "complete"]),
        (
            "talkdesk",
            {"created_seconds": 10, "processing_seconds": 10, "uploading_seconds": 10},
            ["created", "processing", "uploading", "done"],
        ),
    ],
)
def test_a_running_job_becomes_a_finished_one(
    ask: Ask, vendor: str, times: dict[str, int], words: list[str], sandbox: Sandbox
) -> None:
    sandbox.put_job(vendor, JOBS[vendor][0], **times)
    seen = []
    for _ in words:
        seen.append(ask(HOOKS[vendor](), JOBS[vendor][0]))
        sandbox.advance_clock(10)
    assert [status.vendor_status for status in seen] == words
    ends = [JobState.RUNNING] * (len(words) - 1) + [JobState.SUCCEEDED]
    assert [status.state for status in seen] == ends
    assert [call for call in asked(sandbox) if call[0] == "api"] == [status_call(vendor)] * len(words)


@BOTH
@pytest.mark.parametrize(
    ("vendor", "form", "changes", "calls"),
    [
        ("aftercare", "", {"password": "canary-wrong"}, ["status"]),
        ("questionpro", "", {"password": "canary-wrong"}, ["status"]),
        ("ruler", "token", {"password": "canary-wrong"}, ["status"]),
        ("ruler", "", {"password": "canary-wrong"}, ["login"]),
        ("talkdesk", "", {"password": "canary-wrong"}, ["login"]),
    ],
)
def test_a_wrong_credential_is_denied_and_not_shown(
    ask: Ask, vendor: str, form: str, changes: Any, calls: list[str], sandbox: Sandbox, connect: Any
) -> None:
    connect(vendor, form, **changes)
    put_job(sandbox, vendor)
    wanted = [LOGINS[vendor] if call == "login" else status_call(vendor) for call in calls]
    _, method, target = wanted[0]
    status = 403 if vendor == "aftercare" else 401
    with pytest.raises(
        AccessDenied, match=rf"{method} \S+{target} \(connection '{vendor}_default'\): answered {status}"
    ) as caught:
        ask(HOOKS[vendor](), JOBS[vendor][0])
    assert "canary" not in str(caught.value) + repr(caught.value)
    assert asked(sandbox) == wanted
    good, message = HOOKS[vendor]().test_connection()
    assert (good, str(status) in message, "canary" in message) == (False, True, False)
    assert {method for origin, method, _ in asked(sandbox) if origin == "api"} <= {"GET"}


@EACH
def test_an_unknown_job_is_not_found(vendor: str, sandbox: Sandbox) -> None:
    unknown = {"questionpro": "9", "ruler": "demo-site/nobodys", "talkdesk": "calls/nobodys"}
    with pytest.raises(NotFound):
        HOOKS[vendor]().job_status(unknown.get(vendor, "nobodys"))
    if vendor == "aftercare":
        with pytest.raises(NotFound):
            AftercareHook().job_status("data-quality/nobodys")
        with pytest.raises(RequestRejected, match="INVALID_REQUEST"):
            AftercareHook().job_status("no_such_form_of_id")


@BOTH
@pytest.mark.parametrize(
    ("vendor", "job_id"),
    [
        ("aftercare", "data-quality/../coding/j"),
        ("questionpro", "7/../../apikey/regenerate"),
        ("ruler", "demo-site/../rev-1"),
        ("talkdesk", "0f9c"),
    ],
)
def test_a_malformed_id_sends_nothing_not_even_a_login(
    ask: Ask, vendor: str, job_id: str, sandbox: Sandbox
) -> None:
    with pytest.raises(SettingsError, match="job_id"):
        ask(HOOKS[vendor](), job_id)
    if vendor == "ruler":
        with pytest.raises(SettingsError, match="job_id"):
            next(RulerHook().revenue_failures(job_id))
    assert asked(sandbox) == []


# The Test button


@pytest.mark.parametrize(
    ("vendor", "form", "extra", "message", "target"),
    [
        (
            "aftercare",
            "",
            {},
            "Aftercare accepts the key",
            "/api/v1/coding/00000000-0000-0000-0000-000000000000",
        ),
        ("questionpro", "", {}, "QuestionPro accepts the key", "/a/api/v2/micropanel/batches/0"),
        *(
            (
                "ruler",
                form,
                {},
                "Ruler accepts the credentials and lists the jobs of site demo-site",
                "/v1/demo-site/batch/jobs",
            )
            for form in ("", "token")
        ),
        *(
            (
                "ruler",
                form,
                {"site_id": None},
                "Ruler accepts the credentials; no site was asked for, as extra 'site_id' is not set",
                "/v1/no-such-site/batch/jobs",
            )
            for form in ("", "token")
        ),
        *(
            (
                "talkdesk",
                form,
                {},
                "Talkdesk accepts the credentials",
                "/data/reports/calls/jobs/00000000-0000-0000-0000-000000000000",
            )
            for form in ("", "jwt")
        ),
    ],
)
def test_right_credentials_test_well_with_one_get(
    vendor: str, form: str, extra: Any, message: str, target: str, sandbox: Sandbox, connect: Any
) -> None:
    connect(vendor, form, extra=extra)
    before = sandbox.jobs()
    assert HOOKS[vendor]().test_connection() == (True, message)
    logins = [LOGINS[vendor]] if vendor in LOGINS and form != "token" else []
    assert asked(sandbox) == [*logins, ("api", "GET", target)]
    assert sandbox.jobs() == before
    assert sandbox.settings("questionpro")["mails_sent"] == 0


@pytest.mark.parametrize(
    ("vendor", "changes", "problem"),
    [
        ("questionpro", {"api_key": "another"}, "401 Unauthorized"),
        ("questionpro", {"permitted": False}, "403 Forbidden"),
        ("questionpro", {"licence_calls_left": 0}, "429 Too Many Requests"),
        ("talkdesk", {"scopes": "data-reports:write"}, "lacks the scope"),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_a_key_that_is_refused_tests_badly_and_is_not_shown(
    vendor: str, changes: dict[str, Any], problem: str, inside: bool, sandbox: Sandbox
) -> None:
    key = sandbox.connection(vendor)["password"]
    sandbox.change_settings("questionpro", errors_inside_200=inside)
    sandbox.change_settings(vendor, **changes)
    good, message = HOOKS[vendor]().test_connection()
    assert (good, problem in message, key in message) == (False, True, False)


@pytest.mark.parametrize("vendor", ["aftercare", "questionpro", "ruler"])
def test_an_address_that_is_not_the_vendors_tests_badly(vendor: str, sandbox: Sandbox, connect: Any) -> None:
    connect(vendor, host=f"{sandbox.api_url}/elsewhere")
    good, message = HOOKS[vendor]().test_connection()
    assert (good, "404" in message) == (False, True)


def test_a_vendor_that_is_away_tests_badly(sandbox: Sandbox) -> None:
    path = "/api/v1/coding/00000000-0000-0000-0000-000000000000"
    sandbox.put_answers(path, [{"http": 503}, {"disconnect": True}, {"disconnect": True}])
    # A connection that ends without a response is tried once more.
    assert [AftercareHook().test_connection()[0] for _ in range(3)] == [False, False, True]


@EACH
def test_a_connection_of_another_type_says_so(vendor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value = '{"conn_type": "http", "host": "https://a.example"}'
    monkeypatch.setenv(f"AIRFLOW_CONN_{vendor.upper()}_DEFAULT", value)
    message = f"this connection: type is 'http'; choose '{vendor}'"
    assert HOOKS[vendor]().test_connection() == (False, message)


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ({"token_url": None}, "extra 'token_url' is not set"),
        ({"private_key": "canary", "key_id": "k"}, "extra 'private_key' is no private key as PEM"),
        ({"region": "mars", "token_url": None}, "extra 'token_url' is not set"),
    ],
)
def test_a_connection_that_cannot_work_tests_badly_and_sends_nothing(
    extra: Any, problem: str, sandbox: Sandbox, connect: Any
) -> None:
    connect("talkdesk", extra=extra)
    good, message = TalkdeskHook().test_connection()
    assert (good, problem in message, "canary" in message) == (False, True, False)
    assert asked(sandbox) == []


# Logins


@WITH_LOGIN
def test_a_login_is_exchanged_once_for_any_number_of_requests_and_threads(
    vendor: str, ended: Sandbox
) -> None:
    kind, job_id = HOOKS[vendor], JOBS[vendor][0]
    threads = [threading.Thread(target=lambda: kind().job_status(job_id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    hook = kind(f"{vendor}_default")
    for ask in (on_a_worker, on_a_worker, in_a_loop):
        assert ask(hook, job_id).state.terminal
    assert sorted(asked(ended)) == sorted([LOGINS[vendor], *[status_call(vendor)] * 11])
    token = hook.auth.secrets[-1]
    assert token.startswith("sandbox-token-")
    assert redact(f"see {token} here") == "see *** here"


def test_an_access_token_needs_no_login_and_is_denied_once_it_has_ended(ended: Sandbox, connect: Any) -> None:
    connect("ruler", "token")
    assert RulerHook().job_status("rev-1").state is JobState.PARTIAL
    ended.revoke_tokens("ruler")
    with pytest.raises(AccessDenied, match=r"/rev-1/status \(connection 'ruler_default'\): answered 401"):
        RulerHook().job_status("rev-1")
    assert asked(ended) == [status_call("ruler")] * 2


@BOTH
@pytest.mark.parametrize(("vendor", "status"), [("ruler", 401), ("talkdesk", 401), ("talkdesk", 403)])
def test_a_token_that_ends_early_is_renewed_once(ask: Ask, vendor: str, status: int, ended: Sandbox) -> None:
    if vendor == "talkdesk":
        ended.change_settings("talkdesk", expired_status=status)
    hook = HOOKS[vendor]()
    ask(hook, JOBS[vendor][0])
    ended.revoke_tokens(vendor)
    ended.clear_requests()
    assert ask(hook, JOBS[vendor][0]).state.terminal
    assert asked(ended) == [status_call(vendor), LOGINS[vendor], status_call(vendor)]
    ended.revoke_tokens(vendor)
    if vendor == "ruler":
        assert len(list(RulerHook().revenue_failures(JOBS[vendor][0]))) == 4


@BOTH
def test_a_missing_permission_is_denied_after_one_renewal(ask: Ask, ended: Sandbox) -> None:
    ended.change_settings("talkdesk", scopes="data-reports:write")
    with pytest.raises(AccessDenied, match="lacks the scope"):
        ask(TalkdeskHook(), "calls/0f9c")
    assert asked(ended) == [LOGINS["talkdesk"], status_call("talkdesk")] * 2


@WITH_LOGIN
def test_a_token_is_renewed_ahead_of_its_end(vendor: str, ended: Sandbox) -> None:
    ended.change_settings(vendor, token_lifetime_seconds=600)
    now = 0.0
    hook = HOOKS[vendor]()
    exchange = hook.auth.headers()
    assert isinstance(exchange, Exchange)
    hook.auth = ExchangedToken(TokenSlot(lambda: now), exchange.flow, hook.auth.secrets)
    both = [LOGINS[vendor], status_call(vendor)]
    # Before its end, so that the vendor never refuses one.
    for seconds, calls in ((0, both), (530, both[1:]), (15, both), (530, both[1:])):
        now += seconds
        ended.advance_clock(seconds)
        ended.clear_requests()
        hook.job_status(JOBS[vendor][0])
        assert asked(ended) == calls


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_a_signed_login_brings_a_token_until_the_vendor_forgets_its_key(
    algorithm: str, ended: Sandbox, connect: Any
) -> None:
    ended.change_settings("talkdesk", jwt_algorithm=algorithm)
    connect("talkdesk", "jwt")
    assert TalkdeskHook().job_status("calls/0f9c").state is JobState.SUCCEEDED
    ended.revoke_tokens("talkdesk")
    # A second login: the vendor refuses one that it has seen.
    assert TalkdeskHook().job_status("calls/0f9c").state is JobState.SUCCEEDED
    assert ended.settings("talkdesk")["logins_refused"] == 0
    ended.revoke_tokens("talkdesk")
    ended.change_settings("talkdesk", rotate_keys=True)
    with pytest.raises(AccessDenied, match=r"/oauth/token \(connection .*\): answered 401.*invalid_client"):
        TalkdeskHook().job_status("calls/0f9c")


@pytest.mark.parametrize(("vendor", "form"), [("ruler", ""), ("talkdesk", ""), ("talkdesk", "jwt")])
def test_a_credential_goes_to_its_own_origin_only(
    vendor: str, form: str, ended: Sandbox, connect: Any
) -> None:
    connect(vendor, form)
    HOOKS[vendor]().job_status(JOBS[vendor][0])
    secret = ended.connection(vendor)["password"]
    in_body = {"ruler": "password=", "talkdeskjwt": "client_assertion="}.get(vendor + form, "grant_type=")
    for request in ended.requests:
        shown, is_login = json.dumps(request["headers"]) + request["target"], request["origin"] == "auth"
        assert secret not in shown
        assert ("Bearer " in shown) == (request["origin"] == "api")
        assert ("Basic " in shown) == (is_login and (vendor, form) == ("talkdesk", ""))
        assert (in_body in request["body"]) == is_login


# Large replies of Talkdesk's


@BOTH
def test_a_report_of_more_than_8_mib_in_place_of_a_status_is_done(sandbox: Sandbox, ask: Ask) -> None:
    put_job(sandbox, "talkdesk", done_form="entries", format="json", rows=2000, note_bytes=10_000)
    for _ in range(2):  # what was not read is not in the way of the next request
        assert ask(TalkdeskHook(), "calls/0f9c").state is JobState.SUCCEEDED


@BOTH
@pytest.mark.parametrize("kind", ["text/csv", "application/json"])
def test_a_file_of_a_gigabyte_confirms_a_report_by_its_head(
    monkeypatch: pytest.MonkeyPatch, ask: Ask, kind: str
) -> None:
    head = b"id,agent\n" if kind == "text/csv" else b'{"entries": ['
    sent, files = 0, threading.Event()

    def answer(request: Received, connection: socket.socket) -> None:
        nonlocal sent
        if request.method == "POST":
            connection.sendall(reply(200, b'{"access_token": "t-1", "expires_in": 600}'))
            return
        if request.target == JOBS["talkdesk"][1]:
            connection.sendall(reply(200, b"id,agent\n", {"Content-Type": "text/csv"}))
            return
        length = {"Content-Type": kind, "Content-Length": str(1024**3)}
        connection.sendall(reply(200, head, length, length=False))
        with suppress(OSError):
            while sent < 64 * 1024 * 1024:
                sent += connection.send(b'{"note": "' + b"x" * 1000 + b'"},\n')
        files.set()

    with RawServer(answer) as server:
        connection = {"conn_type": "talkdesk", "host": server.url, "login": "c", "password": "s3cret-9"}
        extra = {"token_url": f"{server.url}/oauth/token"}
        monkeypatch.setenv("AIRFLOW_CONN_TALKDESK_DEFAULT", json.dumps(connection | {"extra": extra}))
        assert ask(TalkdeskHook(), "calls/0f9c").state is JobState.SUCCEEDED
        assert files.wait(30)  # the connection was dropped
        targets = [request.target for request in server.requests if request.method == "GET"]
        assert targets == [JOBS["talkdesk"][1], "/data/reports/calls/files/0f9c"]
    assert sent < 16 * 1024 * 1024  # what fits into the buffers between


def test_a_signed_address_that_expires_on_the_way_is_asked_for_again(ended: Sandbox) -> None:
    hook = TalkdeskHook()
    late = []

    def dawdling(flow: Flow[Any]) -> Flow[Any]:
        step = next(flow)
        while True:
            answer = yield step
            if answer.status == 303 and not late:
                late.append(ended.advance_clock(61))
            try:
                step = flow.send(answer)
            except StopIteration as stop:
                return stop.value

    with hook.open(Operation(lambda: dawdling(file_flow(hook, "calls/0f9c")), streamed=True)) as response:
        rows = b"".join(response.chunks or ())
    assert rows.count(b"\r\n") == 41
    assert [request["status"] for request in ended.requests if request["origin"] == "storage"] == [403, 200]


# Rejected rows of Ruler's


def failures() -> Iterator[list[str]]:
    return RulerHook().revenue_failures("demo-site/rev-1")


def test_failures_are_asked_for_as_csv_when_the_first_row_is(ended: Sandbox) -> None:
    rows = failures()
    assert asked(ended) == []
    header = next(rows)
    assert (header[0], header[-1]) == ("RowNumber", "ErrorMessage")
    assert asked(ended) == [LOGINS["ruler"], ("api", "GET", f"{FAILURES}?format=csv")]
    # Rows may be left before the last.
    rows.close()
    assert len(list(failures())) == 4


def test_failures_keep_repeated_labels_ragged_rows_and_quoted_line_breaks(sandbox: Sandbox) -> None:
    text = sample("ruler/failures.csv").decode()
    put_job(sandbox, "ruler", total_rows=20, failed_rows=3, failures_csv=text)
    header, *rows = failures()
    assert [header, *rows] == list(csv.reader(io.StringIO(text, newline="")))
    assert (header.count("Label"), len(rows)) == (2, 3)
    assert "Spring\nfair, second day" in rows[1]
    assert len(rows[2]) < len(header)


def test_failures_that_end_early_raise(ended: Sandbox) -> None:
    body = "RowNumber,ErrorMessage\n" + "".join(f"{n},wrong\n" for n in range(50_000))
    ended.put_answers(FAILURES, [{"body": body, "disconnect": True}])
    rows = failures()
    assert next(rows) == ["RowNumber", "ErrorMessage"]
    with pytest.raises(TransportError):
        list(rows)


@pytest.mark.parametrize(
    ("content_type", "body", "problem"),
    [
        ("application/json", '{"error": "busy"}', 'sent an error in JSON: {"error": "busy"} instead of rows'),
        ("text/plain", "<!DOCTYPE html><p>Log in", "sent a page of HTML: <!DOCTYPE html><p>Log in"),
        ("text/html", "<html>ida@example.org", "sent a page of HTML: <html>*** instead of rows"),
        ("text/csv", '[{"EmailAddress": "ida@example.org"}]', "sent JSON with 1 items instead of rows"),
        ("application/xml", "<Error/>", "sent XML instead of rows"),
    ],
)
def test_what_is_no_csv_is_not_streamed_as_rows(
    content_type: str, body: str, problem: str, ended: Sandbox
) -> None:
    ended.put_answers(FAILURES, [{"body": body, "content_type": content_type}])
    with pytest.raises(UnexpectedResponse, match=re.escape(problem)) as caught:
        list(failures())
    assert "example.org" not in str(caught.value)


def test_a_job_without_failures_has_none_to_stream(sandbox: Sandbox) -> None:
    put_job(sandbox, "ruler", total_rows=10)
    with pytest.raises(NotFound):
        list(failures())
