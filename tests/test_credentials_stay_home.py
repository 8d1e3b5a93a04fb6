"""
No request carries a vendor's credential to another origin, wherever a vendor redirects to.

Every flow that a hook offers, every redirect, both transports; the other origin is another port of the same
machine, which is where a cookie, or a client that compares hosts only, would go.
"""

from __future__ import annotations

import json
import socket
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
import requests

from airflow_provider_jobstatus.core.errors import VendorError
from airflow_provider_jobstatus.core.http import Flow
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.files.upload_source import UploadBytes
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from airflow_provider_jobstatus.hooks.aftercare import submit as aftercare_submit
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.questionpro import QuestionProHook
from airflow_provider_jobstatus.hooks.questionpro import submit as questionpro_submit
from airflow_provider_jobstatus.hooks.questionpro.responses import page_flow, page_request
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from airflow_provider_jobstatus.hooks.talkdesk import submit as talkdesk_submit
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.support.asking import DRIVES, failures_flow, file_flow, status_flow
from tests.support.first_use import use_airflow_once
from tests.support.raw_server import RawServer, Received, reply

use_airflow_once()

STATUSES = [300, 301, 302, 303, 307, 308]
#: Our own, and what a transport adds by itself.
HARMLESS_HEADERS = {
    "host",
    "accept",
    "accept-encoding",
    "cache-control",
    "user-agent",
    "connection",
}
NOBODY = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Case:
    """
    One flow of one hook.

    :param path: where the vendor answers with the redirect.
    :param flow: makes the flow, without credentials.
    :param method: of the request that is redirected.
    :param follows: whether the flow goes there, as one that fetches a stored file does.
    :param options: which of the sandbox's connections.
    """

    hook: type[BatchJobHook]
    path: str
    flow: Callable[[Any], Flow[Any]]
    method: str = "GET"
    follows: bool = False
    options: tuple[str, ...] = ()


def status(job_id: str) -> Callable[[BatchJobHook], Flow[Any]]:
    return lambda hook: status_flow(hook, job_id)


def ping(hook: BatchJobHook) -> Flow[Any]:
    return hook.ping_flow()


def upload(hook: RulerHook) -> Flow[Any]:
    """Upload what both transports send: the rows of a file are sent by one of them alone."""
    flow = hook.upload_operation(hook.upload_place("revenue", "demo-site"), UploadBytes(b"")).flow()
    request = next(flow)
    return flow.send((yield replace(request, body=b"rows")))


CASES = {
    "ruler status": Case(RulerHook, "/v1/demo-site/batch/r/status", status("demo-site/r")),
    "ruler status by token": Case(
        RulerHook, "/v1/demo-site/batch/r/status", status("demo-site/r"), options=("token",)
    ),
    "ruler ping": Case(RulerHook, "/v1/demo-site/batch/jobs", ping),
    "ruler login": Case(RulerHook, "/v1/login", status("demo-site/r"), "POST"),
    "ruler failures as csv": Case(
        RulerHook, "/v1/demo-site/batch/r/failures", lambda hook: failures_flow(hook, "demo-site/r", "csv")
    ),
    "ruler failures as json": Case(
        RulerHook, "/v1/demo-site/batch/r/failures", lambda hook: failures_flow(hook, "demo-site/r", "json")
    ),
    "ruler list": Case(RulerHook, "/v1/demo-site/batch/jobs", lambda hook: hook.list_flow("demo-site")),
    "talkdesk list": Case(TalkdeskHook, "/data/reports/calls/jobs", lambda hook: hook.list_flow("calls")),
    "talkdesk status": Case(TalkdeskHook, "/data/reports/calls/jobs/t", status("calls/t")),
    "talkdesk ping": Case(TalkdeskHook, f"/data/reports/calls/jobs/{NOBODY}", ping),
    "talkdesk login": Case(TalkdeskHook, "/oauth/token", status("calls/t"), "POST"),
    "talkdesk signed login": Case(TalkdeskHook, "/oauth/token", status("calls/t"), "POST", options=("jwt",)),
    "talkdesk file": Case(
        TalkdeskHook, "/data/reports/calls/files/t", lambda hook: file_flow(hook, "calls/t"), follows=True
    ),
    "aftercare status": Case(AftercareHook, "/api/v1/coding/a", status("a")),
    "aftercare data quality": Case(AftercareHook, "/api/v1/data-quality/batch/a", status("data-quality/a")),
    "aftercare ping": Case(AftercareHook, f"/api/v1/coding/{NOBODY}", ping),
    "questionpro status": Case(QuestionProHook, "/a/api/v2/micropanel/batches/7", status("7")),
    "ruler upload": Case(
        RulerHook,
        "/v1/demo-site/revenue/batch",
        upload,
        "POST",
    ),
    "ruler jobs before an upload": Case(
        RulerHook,
        "/v1/demo-site/batch/jobs",
        lambda hook: hook.jobs_before_operation(hook.upload_place("revenue", "demo-site")).flow(),
    ),
    "talkdesk order": Case(
        TalkdeskHook,
        "/data/reports/calls/jobs",
        lambda hook: talkdesk_submit.submit_flow(hook, "calls", b"{}"),
        "POST",
    ),
    "talkdesk search": Case(
        TalkdeskHook,
        "/data/reports/calls/jobs",
        lambda hook: talkdesk_submit.search_flow(hook, "calls", "mine"),
    ),
    "talkdesk delete": Case(
        TalkdeskHook,
        "/data/reports/calls/files/t",
        lambda hook: hook.delete_operation(hook.parse_job_id("calls/t")).flow(),
        "DELETE",
    ),
    "aftercare order": Case(
        AftercareHook,
        "/api/v1/coding",
        lambda hook: aftercare_submit.submit_flow(hook, "coding", b"{}"),
        "POST",
    ),
    "questionpro order": Case(
        QuestionProHook,
        "/a/api/v2/micropanel/batches",
        lambda hook: questionpro_submit.submit_flow(
            hook, b'{"compose": {"surveyID": 1}, "recipients": {"filterType": 1}}'
        ),
        "POST",
    ),
    "questionpro responses": Case(
        QuestionProHook,
        "/a/api/v2/surveys/7/responses",
        lambda hook: page_flow(hook, page_request(hook, 7, 1, 100)),
    ),
    "questionpro ping": Case(QuestionProHook, "/a/api/v2/micropanel/batches/0", ping),
}


@pytest.fixture
def elsewhere() -> Iterator[RawServer]:
    """Another origin, which answers everything with what may be a result."""

    def handle(_: Received, connection: socket.socket) -> None:
        connection.sendall(reply(200, b'{"status": "done"}', {"Content-Type": "application/json"}))

    with RawServer(handle) as server:
        yield server


def credentials_of(connection: Any) -> set[str]:
    """Return everything of a connection that is secret, in the forms in which it is sent."""
    login, password = connection.get("login", ""), connection.get("password", "")
    given = {login, password, b64encode(f"{login}:{password}".encode()).decode()}
    # A token, a cookie, a signed login.
    return {text for text in given if text} | {
        "sandbox-token-",
        "canary",
        "eyJ",
        "Bearer",
        "Basic",
        "assertion",
    }


def leaks(received: Received, secrets: set[str]) -> list[str]:
    """Return what a request carries that it must not: a secret, or any header that is none of the usual."""
    sent = "\n".join(
        [
            received.target,
            *(f"{name}: {value}" for name, value in received.headers),
            received.body.decode("latin-1"),
        ]
    )
    names = {name.lower() for name, _ in received.headers} - HARMLESS_HEADERS
    return sorted({secret for secret in secrets if secret in sent} | names)


def prepare(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, case: Case, http: int, location: str
) -> set[str]:
    """Let the sandbox redirect, with a cookie; return the connection's credentials."""
    name = case.hook.conn_type
    connection = sandbox.connection(name, **dict.fromkeys(case.options, True))
    connection.setdefault("extra", {})
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}_DEFAULT", json.dumps(connection))
    entry = {"http": http, "headers": {"Location": location, "Set-Cookie": "canary=cookie; Path=/"}}
    # More than once: a client that asks again is answered in the same way.
    sandbox.put_answers(case.path, [entry] * 3, method=case.method)
    return credentials_of(connection)


@pytest.mark.parametrize("drive", DRIVES)
@pytest.mark.parametrize("name", CASES)
def test_a_redirect_to_another_origin_takes_no_credential_there(
    sandbox: Sandbox,
    elsewhere: RawServer,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    drive: Callable[[BatchJobHook, Operation[Any]], Any],
) -> None:
    case = CASES[name]
    for http in STATUSES:
        secrets = prepare(sandbox, monkeypatch, case, http, f"{elsewhere.url}{case.path}?next=1")
        hook = case.hook()
        with suppress(VendorError):
            drive(hook, Operation(partial(case.flow, hook)))
        answers = [each["status"] for each in sandbox.requests if each["method"] == case.method]
        assert http in answers, "the vendor was not asked, so that nothing was tried"
        assert [leaks(received, secrets) for received in elsewhere.requests] == [[]] * case.follows, http
        elsewhere.requests.clear()
        sandbox.clear_requests()


@pytest.mark.parametrize("drive", DRIVES)
@pytest.mark.parametrize("name", CASES)
def test_a_redirect_to_the_vendors_own_origin_takes_no_cookie_and_is_not_followed_either(
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    drive: Callable[[BatchJobHook, Operation[Any]], Any],
) -> None:
    case = CASES[name]
    prepare(sandbox, monkeypatch, case, 302, "/trap")
    hook = case.hook()
    with suppress(VendorError):
        drive(hook, Operation(partial(case.flow, hook)))
    trapped = [request for request in sandbox.requests if request["target"] == "/trap"]
    assert len(trapped) == case.follows
    for request in sandbox.requests:
        assert "cookie" not in {key.lower() for key, _ in request["headers"]}
    for request in trapped:
        assert not {key.lower() for key, _ in request["headers"]} - HARMLESS_HEADERS


def test_every_flow_of_every_hook_is_tried() -> None:
    tried = {"status_flow", "list_flow", "ping_flow"}
    tried |= {"status_operation", "list_operation", "failures_operation", "file_operation"}
    # The search for an upload reads the list, and statuses.
    tried |= {"upload_operation", "jobs_before_operation", "search_operation", "delete_operation"}
    for hook in (RulerHook, TalkdeskHook, AftercareHook, QuestionProHook):
        offered = {name for name in dir(hook) if name.endswith(("_flow", "_operation")) and name[0] != "_"}
        assert offered <= tried, f"a new flow of {hook.__name__} belongs into CASES"


def test_a_client_that_follows_redirects_would_be_caught(sandbox: Sandbox, elsewhere: RawServer) -> None:
    headers = {"Location": elsewhere.url, "Set-Cookie": "canary=cookie; Path=/"}
    sandbox.put_answers("/v1/x", [{"http": 302, "headers": headers}])
    with requests.Session() as session:
        session.get(f"{sandbox.api_url}/v1/x", headers={"X-Aftercare-Key": "sandbox-password-1"}, timeout=10)
    (received,) = elsewhere.requests
    secrets = {"sandbox-password-1", "canary", "sandbox-token-"}
    assert leaks(received, secrets) == ["canary", "cookie", "sandbox-password-1", "x-aftercare-key"]
