"""The hook of Talkdesk against a server."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from contextlib import suppress
from typing import Any

import pytest

from airflow_provider_jobstatus.core.auth import ExchangedToken
from airflow_provider_jobstatus.core.errors import AccessDenied, NotFound
from airflow_provider_jobstatus.core.http import Flow
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.core.tokens import TokenSlot
from airflow_provider_jobstatus.hooks.connection_lookup import read_connection
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from airflow_provider_jobstatus.hooks.talkdesk.login import login_flow
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.support.asking import asking, file_flow
from tests.support.raw_server import RawServer, Received
from tests.support.raw_server import reply as raw_reply

JOB = "calls/0f9c"
PATH = "/data/reports/calls/jobs/0f9c"
NOW = {"created_seconds": 0, "processing_seconds": 0, "uploading_seconds": 0}
LOGIN = ("auth", "POST", "/oauth/token")
STATUS = ("api", "GET", PATH)
FILE = ("api", "GET", "/data/reports/calls/files/0f9c")


@pytest.fixture
def job(sandbox: Sandbox) -> Sandbox:
    """A sandbox with a job that is done."""
    put_job(sandbox, rows=40)
    return sandbox


def put_job(sandbox: Sandbox, **spec: Any) -> None:
    sandbox.put_job("talkdesk", JOB, **(NOW | spec))


def connect(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, *, jwt: bool = False, **changes: Any) -> None:
    """Define the default connection, with changes to the sandbox's own."""
    connection = sandbox.connection("talkdesk", jwt=jwt)
    connection["extra"] = connection["extra"] | changes.pop("extra", {})
    monkeypatch.setenv("AIRFLOW_CONN_TALKDESK_DEFAULT", json.dumps(connection | changes))


def asked(sandbox: Sandbox) -> list[tuple[str, str, str]]:
    return [(request["origin"], request["method"], request["target"]) for request in sandbox.requests]


def in_a_loop(hook: TalkdeskHook) -> JobStatus:
    """Ask as a triggerer does."""

    async def main() -> JobStatus:
        async with hook.aconnect() as client:
            return await client.run(asking(hook, JOB))

    return asyncio.run(main())


def on_a_worker(hook: TalkdeskHook) -> JobStatus:
    return hook.job_status(JOB)


both = pytest.mark.parametrize("ask", [on_a_worker, in_a_loop])


@both
@pytest.mark.parametrize("form", ["200", "300", "301", "302", "303", "307", "308", "entries"])
def test_every_form_of_done_is_done_and_follows_nothing(sandbox: Sandbox, ask: Any, form: str) -> None:
    expected = [LOGIN]
    for location in ("relative", "absolute", "missing"):
        for body in (True, False):
            put_job(sandbox, done_form=form, done_location=location, done_body=body)
            assert ask(TalkdeskHook()).state is JobState.SUCCEEDED
            silent = form == "entries" or (form != "200" and location == "missing" and not body)
            expected += [STATUS, FILE] if silent else [STATUS]
    assert asked(sandbox) == expected


@both
@pytest.mark.parametrize("words", ["lower", "upper"])
def test_a_job_goes_its_way_in_words_of_either_case(sandbox: Sandbox, ask: Any, words: str) -> None:
    sandbox.put_job(
        "talkdesk", JOB, words=words, created_seconds=10, processing_seconds=10, uploading_seconds=10
    )
    seen = []
    for _ in range(4):
        status = ask(TalkdeskHook())
        seen.append((status.vendor_status.lower(), status.state))
        sandbox.advance_clock(10)
    assert seen == [
        ("created", JobState.RUNNING),
        ("processing", JobState.RUNNING),
        ("uploading", JobState.RUNNING),
        ("done", JobState.SUCCEEDED),
    ]


@both
def test_a_report_of_more_than_8_mib_in_place_of_a_status_is_done(sandbox: Sandbox, ask: Any) -> None:
    put_job(sandbox, done_form="entries", format="json", rows=2000, note_bytes=10_000)
    assert ask(TalkdeskHook()).state is JobState.SUCCEEDED
    assert ask(TalkdeskHook()).state is JobState.SUCCEEDED  # and what was not read is in nobody's way


@both
@pytest.mark.parametrize("end", ["failed", "canceled", "deleted"])
def test_a_job_that_ends_badly_says_how(sandbox: Sandbox, ask: Any, end: str) -> None:
    put_job(sandbox, end=end)
    status = ask(TalkdeskHook())
    assert status.vendor_status == end
    assert status.state is (JobState.FAILED if end == "failed" else JobState.CANCELLED)


@both
def test_204_is_still_running(job: Sandbox, ask: Any) -> None:
    job.put_answers(PATH, [{"http": 204}])
    assert ask(TalkdeskHook()).state is JobState.RUNNING


@both
@pytest.mark.parametrize("kind", ["text/csv", "application/json"])
def test_a_file_of_a_gigabyte_confirms_a_report_by_its_head(
    monkeypatch: pytest.MonkeyPatch, ask: Any, kind: str
) -> None:
    head = b"id,agent\n" if kind == "text/csv" else b'{"entries": ['
    sent, files = 0, threading.Event()

    def answer(request: Received, connection: socket.socket) -> None:
        nonlocal sent
        if request.method == "POST":
            connection.sendall(raw_reply(200, b'{"access_token": "t-1", "expires_in": 600}'))
            return
        if request.target == PATH:
            connection.sendall(raw_reply(200, b"id,agent\n", {"Content-Type": "text/csv"}))
            return
        length = {"Content-Type": kind, "Content-Length": str(1024**3)}
        connection.sendall(raw_reply(200, head, length, length=False))
        with suppress(OSError):
            while sent < 64 * 1024 * 1024:
                sent += connection.send(b'{"note": "' + b"x" * 1000 + b'"},\n')
        files.set()

    with RawServer(answer) as server:
        connection = {"conn_type": "talkdesk", "host": server.url, "login": "c", "password": "s3cret-9"}
        extra = {"token_url": f"{server.url}/oauth/token"}
        monkeypatch.setenv("AIRFLOW_CONN_TALKDESK_DEFAULT", json.dumps(connection | {"extra": extra}))
        assert ask(TalkdeskHook()).state is JobState.SUCCEEDED
        assert files.wait(30)  # the connection was dropped
        assert [request.target for request in server.requests if request.method == "GET"] == [PATH, FILE[2]]
    assert sent < 16 * 1024 * 1024  # what fits into the buffers between


def test_a_login_is_exchanged_once_for_any_number_of_questions(job: Sandbox) -> None:
    threads = [threading.Thread(target=lambda: TalkdeskHook().job_status(JOB)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert in_a_loop(TalkdeskHook()).state is JobState.SUCCEEDED
    assert sorted(asked(job)) == sorted([LOGIN, *[STATUS] * 9])


@both
@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_a_signed_login_brings_a_token(
    job: Sandbox, monkeypatch: pytest.MonkeyPatch, ask: Any, algorithm: str
) -> None:
    job.change_settings("talkdesk", jwt_algorithm=algorithm)
    connect(monkeypatch, job, jwt=True)
    assert ask(TalkdeskHook()).state is JobState.SUCCEEDED
    job.revoke_tokens("talkdesk")
    # A second login: the vendor refuses one that it has seen.
    assert ask(TalkdeskHook()).state is JobState.SUCCEEDED
    assert job.settings("talkdesk")["logins_refused"] == 0


@both
@pytest.mark.parametrize("form", ["written out", "lost"])
def test_a_key_that_a_form_has_squeezed_into_a_line_logs_in(
    job: Sandbox, monkeypatch: pytest.MonkeyPatch, ask: Any, form: str
) -> None:
    pem = job.connection("talkdesk", jwt=True)["extra"]["private_key"]
    connect(
        monkeypatch,
        job,
        jwt=True,
        extra={"private_key": pem.replace("\n", "\\n" if form == "written out" else " ")},
    )
    assert ask(TalkdeskHook()).state is JobState.SUCCEEDED


@both
def test_a_key_that_the_vendor_no_longer_knows_is_denied(
    job: Sandbox, monkeypatch: pytest.MonkeyPatch, ask: Any
) -> None:
    connect(monkeypatch, job, jwt=True)
    job.change_settings("talkdesk", rotate_keys=True)
    with pytest.raises(AccessDenied, match=r"POST \S+/oauth/token \(connection .*\): answered 401") as caught:
        ask(TalkdeskHook())
    assert "invalid_client" in str(caught.value)


@both
def test_a_wrong_secret_is_denied_and_not_shown(
    job: Sandbox, monkeypatch: pytest.MonkeyPatch, ask: Any
) -> None:
    connect(monkeypatch, job, password="canary-wrong-secret")
    with pytest.raises(AccessDenied, match=r"POST \S+/oauth/token \(connection .*\): answered 401") as caught:
        ask(TalkdeskHook())
    assert "canary" not in str(caught.value) + repr(caught.value)
    assert asked(job) == [LOGIN]


@both
@pytest.mark.parametrize("status", [401, 403])
def test_an_expired_token_is_renewed_once(job: Sandbox, ask: Any, status: int) -> None:
    job.change_settings("talkdesk", expired_status=status)
    ask(TalkdeskHook())
    job.revoke_tokens("talkdesk")
    job.clear_requests()
    assert ask(TalkdeskHook()).state is JobState.SUCCEEDED
    assert asked(job) == [STATUS, LOGIN, STATUS]


@both
def test_a_missing_permission_is_denied_after_one_renewal(job: Sandbox, ask: Any) -> None:
    job.change_settings("talkdesk", scopes="data-reports:write")
    with pytest.raises(AccessDenied, match="lacks the scope"):
        ask(TalkdeskHook())
    assert asked(job) == [LOGIN, STATUS, LOGIN, STATUS]


def test_a_token_is_renewed_ahead_of_its_end(job: Sandbox) -> None:
    job.change_settings("talkdesk", token_lifetime_seconds=600)
    now = 0.0
    hook = TalkdeskHook()
    connection = job.connection("talkdesk")
    url, client, secret = connection["extra"]["token_url"], connection["login"], connection["password"]
    hook.auth = ExchangedToken(
        TokenSlot(lambda: now),
        lambda: login_flow(hook, url, client, secret),
        (secret,),
        frozenset({401, 403}),
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


def test_a_token_from_a_login_is_known_to_the_secrets_masker(job: Sandbox) -> None:
    from airflow.sdk._shared.secrets_masker import redact

    hook = TalkdeskHook()
    hook.job_status(JOB)
    token = hook.auth.secrets[-1]
    assert token.startswith("sandbox-token-")
    assert redact(f"see {token} here") == "see *** here"


@pytest.mark.parametrize("jwt", [True, False])
def test_a_credential_goes_to_its_own_origin_only(
    job: Sandbox, monkeypatch: pytest.MonkeyPatch, jwt: bool
) -> None:
    connect(monkeypatch, job, jwt=jwt)
    TalkdeskHook().job_status(JOB)
    for request in job.requests:
        shown = json.dumps(request["headers"])
        assert ("Bearer " in shown) == (request["origin"] == "api")
        assert ("Basic " in shown) == (request["origin"] == "auth" and not jwt)
        assert ("client_assertion=" in request["body"]) == (request["origin"] == "auth" and jwt)


@pytest.mark.parametrize("jwt", [True, False])
def test_right_credentials_test_well(job: Sandbox, monkeypatch: pytest.MonkeyPatch, jwt: bool) -> None:
    connect(monkeypatch, job, jwt=jwt)
    assert TalkdeskHook().test_connection() == (True, "Talkdesk accepts the credentials")
    api = [(method, target) for origin, method, target in asked(job) if origin == "api"]
    assert api == [("GET", "/data/reports/calls/jobs/00000000-0000-0000-0000-000000000000")]


def test_wrong_credentials_test_badly(job: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, job, password="canary-wrong-secret")
    good, message = TalkdeskHook().test_connection()
    assert (good, "401" in message, "canary" in message) == (False, True, False)


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ({"token_url": None}, "extra 'token_url' is not set"),
        ({"private_key": "canary", "key_id": "k"}, "extra 'private_key' is no private key as PEM"),
        ({"region": "mars", "token_url": None}, "extra 'token_url' is not set"),
    ],
)
def test_a_connection_that_cannot_work_tests_badly_and_asks_nobody(
    job: Sandbox, monkeypatch: pytest.MonkeyPatch, extra: Any, problem: str
) -> None:
    connect(monkeypatch, job, extra=extra)
    good, message = TalkdeskHook().test_connection()
    assert (good, problem in message, "canary" in message) == (False, True, False)
    assert asked(job) == []


def test_a_permission_that_is_missing_tests_badly(job: Sandbox) -> None:
    job.change_settings("talkdesk", scopes="data-reports:write")
    good, message = TalkdeskHook().test_connection()
    assert (good, "lacks the scope" in message) == (False, True)


def test_an_unknown_job_is_not_found(sandbox: Sandbox) -> None:
    with pytest.raises(NotFound):
        TalkdeskHook().job_status("calls/nobodys")


def test_a_hook_from_a_connection_that_was_read_asks_as_any_other(job: Sandbox) -> None:
    hook = TalkdeskHook.from_connection(read_connection("talkdesk_default"))
    assert hook.job_status(JOB).state is JobState.SUCCEEDED


def test_a_signed_address_that_expires_on_the_way_is_asked_for_again(job: Sandbox) -> None:
    hook = TalkdeskHook()
    late = []

    def dawdling(flow: Flow[Any]) -> Flow[Any]:
        step = next(flow)
        while True:
            answer = yield step
            if answer.status == 303 and not late:
                late.append(job.advance_clock(61))
            try:
                step = flow.send(answer)
            except StopIteration as stop:
                return stop.value

    with hook.open(Operation(lambda: dawdling(file_flow(hook, JOB)), streamed=True)) as reply:
        rows = b"".join(reply.chunks or ())
    assert rows.count(b"\r\n") == 41
    assert [request["status"] for request in job.requests if request["origin"] == "storage"] == [403, 200]
