"""The hook of Ruler Analytics against a server."""

from __future__ import annotations

import csv
import io
import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_jobstatus.core.auth import ExchangedToken
from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    SettingsError,
    TransportError,
    UnexpectedResponse,
)
from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.core.tokens import TokenSlot
from airflow_provider_jobstatus.hooks.connection_lookup import read_connection
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.hooks.ruler.login import login_flow
from airflow_provider_jobstatus.sandbox import Sandbox

JOB = "demo-site/rev-1"
FAILURES = (Path(__file__).parent.parent / "samples" / "ruler" / "failures.csv").read_bytes().decode()


@pytest.fixture
def job(sandbox: Sandbox) -> Sandbox:
    """A sandbox with a job that ended with three of ten rows rejected."""
    put_job(sandbox, total_rows=10, failed_rows=3)
    return sandbox


def put_job(sandbox: Sandbox, **spec: Any) -> None:
    sandbox.put_job("ruler", JOB, pending_seconds=0, processing_seconds=0, **spec)


def connect(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, *, token: bool = False, **changes: Any
) -> None:
    """Define the default connection, with changes to the sandbox's own."""
    connection = sandbox.connection("ruler", token=token)
    connection["extra"] = connection["extra"] | changes.pop("extra", {})
    monkeypatch.setenv("AIRFLOW_CONN_RULER_DEFAULT", json.dumps(connection | changes))


def asked(sandbox: Sandbox) -> list[tuple[str, str, str]]:
    return [(request["origin"], request["method"], request["target"]) for request in sandbox.requests]


LOGIN = ("auth", "POST", "/v1/login")
STATUS = ("api", "GET", "/v1/demo-site/batch/rev-1/status")


def test_a_login_is_exchanged_once_for_any_number_of_questions(job: Sandbox) -> None:
    hook = RulerHook()
    assert {hook.job_status(JOB).state for _ in range(3)} == {JobState.PARTIAL}
    assert RulerHook("ruler_default").job_status("rev-1").state is JobState.PARTIAL
    assert asked(job) == [LOGIN, *[STATUS] * 4]


def test_a_login_is_exchanged_once_by_many_threads(job: Sandbox) -> None:
    threads = [threading.Thread(target=lambda: RulerHook().job_status(JOB)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(asked(job)) == sorted([LOGIN, *[STATUS] * 8])


def test_an_access_token_asks_without_a_login(job: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, job, token=True)
    assert RulerHook().job_status(JOB).state is JobState.PARTIAL
    assert asked(job) == [STATUS]


def test_an_access_token_that_has_ended_is_denied(job: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, job, token=True)
    job.revoke_tokens("ruler")
    with pytest.raises(
        AccessDenied, match=r"GET .*/rev-1/status \(connection 'ruler_default'\): answered 401"
    ):
        RulerHook().job_status(JOB)
    assert asked(job) == [STATUS]


def test_a_token_that_ends_early_is_renewed_by_a_login_on_401(job: Sandbox) -> None:
    hook = RulerHook()
    hook.job_status(JOB)
    job.revoke_tokens("ruler")
    job.clear_requests()
    assert hook.job_status(JOB).state is JobState.PARTIAL
    assert asked(job) == [STATUS, LOGIN, STATUS]


def test_a_token_is_renewed_ahead_of_its_end(job: Sandbox) -> None:
    job.change_settings("ruler", token_lifetime_seconds=600)
    now = 0.0
    hook = RulerHook()
    auth = hook.auth
    assert isinstance(auth, ExchangedToken)
    connection = job.connection("ruler")
    url, user, password = connection["extra"]["auth_url"], connection["login"], connection["password"]
    hook.auth = ExchangedToken(
        TokenSlot(lambda: now), lambda: login_flow(hook, url, user, password), (password,)
    )

    def later(seconds: float) -> list[tuple[str, str, str]]:
        nonlocal now
        now += seconds
        job.advance_clock(seconds)
        job.clear_requests()
        hook.job_status(JOB)
        return asked(job)

    assert later(0) == [LOGIN, STATUS]
    assert later(530) == [STATUS]
    assert later(15) == [LOGIN, STATUS]  # before its end, so that the vendor never refuses one
    assert later(530) == [STATUS]


def test_a_wrong_password_is_denied_and_not_shown(job: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, job, password="canary-wrong-password")
    with pytest.raises(AccessDenied) as caught:
        RulerHook().job_status(JOB)
    assert "canary" not in str(caught.value)
    assert "/v1/login (connection 'ruler_default'): answered 401" in str(caught.value)
    assert asked(job) == [LOGIN]


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_login_that_echoes_the_password_does_not_get_it_shown(job: Sandbox, status: int) -> None:
    password = job.connection("ruler")["password"]
    job.put_answers("/v1/login", [{"http": status, "body": f"no user with {password}"}], method="POST")
    with pytest.raises(AccessDenied) as caught:
        RulerHook().job_status(JOB)
    assert password not in str(caught.value)
    assert "***" in str(caught.value)


def test_a_reply_that_echoes_the_token_does_not_get_it_shown(job: Sandbox) -> None:
    hook = RulerHook()
    hook.job_status(JOB)
    token = hook.auth.secrets[-1]
    assert token.startswith("sandbox-token-")
    put_job(job, script=[{"status": "failed", "failureReason": f"refused Bearer {token}"}])
    detail = hook.job_status(JOB).detail
    assert detail == "refused Bearer ***"


def test_a_token_from_a_login_is_known_to_the_secrets_masker(job: Sandbox) -> None:
    from airflow.sdk._shared.secrets_masker import redact

    hook = RulerHook()
    hook.job_status(JOB)
    token = hook.auth.secrets[-1]
    assert redact(f"see {token} here") == "see *** here"


def test_a_credential_goes_to_its_own_origin_only(job: Sandbox) -> None:
    RulerHook().job_status(JOB)
    connection = job.connection("ruler")
    for request in job.requests:
        shown = json.dumps(request["headers"]) + request["target"]
        assert connection["password"] not in shown
        assert ("Bearer " in shown) == (request["origin"] == "api")
        assert ("password=" in request["body"]) == (request["origin"] == "auth")


@pytest.mark.parametrize("token", [True, False])
def test_right_credentials_test_well(job: Sandbox, monkeypatch: pytest.MonkeyPatch, token: bool) -> None:
    connect(monkeypatch, job, token=token)
    good, message = RulerHook().test_connection()
    assert (good, "demo-site" in message) == (True, True)


@pytest.mark.parametrize("token", [True, False])
def test_right_credentials_test_well_without_a_site(
    job: Sandbox, monkeypatch: pytest.MonkeyPatch, token: bool
) -> None:
    connect(monkeypatch, job, token=token, extra={"site_id": None})
    good, message = RulerHook().test_connection()
    assert (good, "'site_id' is not set" in message) == (True, True)


@pytest.mark.parametrize("site_id", ["demo-site", None])
@pytest.mark.parametrize("token", [True, False])
def test_wrong_credentials_test_badly(
    job: Sandbox, monkeypatch: pytest.MonkeyPatch, token: bool, site_id: str | None
) -> None:
    connect(monkeypatch, job, token=token, password="canary-wrong-secret", extra={"site_id": site_id})
    good, message = RulerHook().test_connection()
    assert not good
    assert "401" in message
    assert "canary" not in message


def test_testing_a_connection_sends_only_gets_to_the_api(job: Sandbox) -> None:
    RulerHook().test_connection()
    assert asked(job) == [LOGIN, ("api", "GET", "/v1/demo-site/batch/jobs")]


def test_testing_a_connection_that_is_of_another_type_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_RULER_DEFAULT", '{"conn_type": "http", "host": "https://a.example"}')
    good, message = RulerHook().test_connection()
    assert (good, message) == (False, "this connection: type is 'http'; choose 'ruler'")


def test_a_running_job_becomes_a_finished_one(sandbox: Sandbox) -> None:
    sandbox.put_job("ruler", JOB, total_rows=100, pending_seconds=60, processing_seconds=60)
    hook = RulerHook()
    assert hook.job_status(JOB).vendor_status == "pending"
    sandbox.advance_clock(90)
    status = hook.job_status(JOB)
    assert (status.vendor_status, status.state) == ("processing", JobState.RUNNING)
    assert status.progress in range(45, 60)
    sandbox.advance_clock(60)
    assert hook.job_status(JOB).state is JobState.SUCCEEDED


def test_an_unknown_job_is_not_found(sandbox: Sandbox) -> None:
    with pytest.raises(NotFound):
        RulerHook().job_status("demo-site/nobodys")


@pytest.mark.parametrize("job_id", ["demo-site/../rev-1", "a/b/c", "demo-site/", "", "s/%2e%2e"])
def test_a_malformed_id_asks_nobody_not_even_for_a_token(sandbox: Sandbox, job_id: str) -> None:
    hook = RulerHook()
    with pytest.raises(SettingsError, match="job_id"):
        hook.job_status(job_id)
    with pytest.raises(SettingsError, match="job_id"):
        next(hook.revenue_failures(job_id))
    assert asked(sandbox) == []


def test_a_page_of_html_in_place_of_a_status_is_unexpected(job: Sandbox) -> None:
    put_job(job, script=[{"body": "<html>maintenance</html>", "content_type": "text/html"}])
    with pytest.raises(UnexpectedResponse, match="text/html"):
        RulerHook().job_status(JOB)


def test_failures_are_rows_with_the_header_first(job: Sandbox) -> None:
    header, *rows = RulerHook().revenue_failures(JOB)
    assert (header[0], header[-1]) == ("RowNumber", "ErrorMessage")
    assert len(rows) == 3


def test_failures_keep_repeated_labels_ragged_rows_and_quoted_line_breaks(sandbox: Sandbox) -> None:
    put_job(sandbox, total_rows=20, failed_rows=3, failures_csv=FAILURES)
    header, *rows = RulerHook().revenue_failures(JOB)
    assert [header, *rows] == list(csv.reader(io.StringIO(FAILURES, newline="")))
    assert header.count("Label") == 2
    assert len(rows) == 3
    assert "Spring\nfair, second day" in rows[1]
    assert len(rows[2]) < len(header)


def test_failures_are_asked_for_with_their_format_and_as_csv(job: Sandbox) -> None:
    list(RulerHook().revenue_failures(JOB))
    assert asked(job) == [LOGIN, ("api", "GET", "/v1/demo-site/batch/rev-1/failures?format=csv")]


def test_failures_are_asked_for_when_the_first_row_is(job: Sandbox) -> None:
    rows = RulerHook().revenue_failures(JOB)
    assert asked(job) == []
    next(rows)
    assert len(asked(job)) == 2


def test_rows_may_be_left_before_the_last(job: Sandbox) -> None:
    for _ in range(3):
        rows = RulerHook().revenue_failures(JOB)
        next(rows)
        rows.close()
    assert len(list(RulerHook().revenue_failures(JOB))) == 4


def test_failures_that_end_early_raise(job: Sandbox) -> None:
    body = "RowNumber,ErrorMessage\n" + "".join(f"{n},wrong\n" for n in range(50_000))
    job.put_answers("/v1/demo-site/batch/rev-1/failures", [{"body": body, "disconnect": True}])
    rows = RulerHook().revenue_failures(JOB)
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
    job: Sandbox, content_type: str, body: str, problem: str
) -> None:
    job.put_answers("/v1/demo-site/batch/rev-1/failures", [{"body": body, "content_type": content_type}])
    with pytest.raises(UnexpectedResponse, match=re.escape(problem)) as caught:
        list(RulerHook().revenue_failures(JOB))
    assert "example.org" not in str(caught.value)


def test_a_job_without_failures_has_none_to_stream(sandbox: Sandbox) -> None:
    put_job(sandbox, total_rows=10)
    with pytest.raises(NotFound):
        list(RulerHook().revenue_failures(JOB))


def test_a_token_that_ends_before_the_failures_are_fetched_is_renewed(job: Sandbox) -> None:
    hook = RulerHook()
    hook.job_status(JOB)
    job.revoke_tokens("ruler")
    assert len(list(hook.revenue_failures(JOB))) == 4


def test_a_hook_from_a_connection_that_was_read_asks_as_any_other(job: Sandbox) -> None:
    hook = RulerHook.from_connection(read_connection("ruler_default"))
    assert hook.job_status("rev-1").job_id == "rev-1"
