"""
No exception, traceback, repr, result or log line shows a secret, whatever a vendor answers.

Every vendor's connections, both transports, and a server that answers each request with everything that it
was sent, in every form, in every place of a reply that may end up in an error.
"""

from __future__ import annotations

import json
import logging
import socket
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

import pytest
from airflow.sdk._shared.secrets_masker import reset_secrets_masker

from airflow_provider_jobstatus.core import tokens
from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.core.http import Request, Response
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.core.tokens import Token
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.questionpro import QuestionProHook
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from airflow_provider_jobstatus.sensors.batch_job import BatchJobSensor
from airflow_provider_jobstatus.triggers.batch_job import BatchJobTrigger
from tests.support.asking import DRIVES, asking, status_operation
from tests.support.canaries import USER, Canary, leaks, make_canaries, signed
from tests.support.first_use import use_airflow_once
from tests.support.raw_server import RawServer, Received, reply, reset

use_airflow_once()
CANARIES = make_canaries()


@dataclass(frozen=True)
class Case:
    """
    One way to show a vendor who we are.

    :param kinds: of the secrets that it uses.
    :param extra: of the connection.
    :param proxied: whether a proxy with a login of its own is on the way.
    """

    hook: type[BatchJobHook]
    job_id: str
    kinds: tuple[str, ...]
    extra: tuple[tuple[str, str], ...] = ()
    proxied: bool = False

    @property
    def canaries(self) -> list[Canary]:
        proxy = ["proxy password"] if self.proxied else []
        return [CANARIES[kind] for kind in (*self.kinds, "signed URL", *proxy)]

    def connection(self, url: str) -> str:
        login = {"login": USER, "extra": {name: url + path for name, path in self.extra}}
        if "private key" in self.kinds:
            login["extra"] |= {"private_key": CANARIES["private key"].value, "key_id": "k"}
        else:
            login["password"] = CANARIES[self.kinds[0]].value
        if self.kinds == ("token",):
            del login["login"]
        return json.dumps({"conn_type": self.hook.conn_type, "host": f"{url}/api", **login})


CASES = {
    "aftercare": Case(AftercareHook, "a", ("key",)),
    "questionpro": Case(QuestionProHook, "7", ("key",)),
    "ruler token": Case(RulerHook, "s/r", ("token",)),
    "ruler login": Case(RulerHook, "s/r", ("password", "token"), (("auth_url", "/login"),)),
    "ruler login by a proxy": Case(
        RulerHook, "s/r", ("password", "token"), (("auth_url", "/login"),), proxied=True
    ),
    "talkdesk": Case(TalkdeskHook, "calls/t", ("client secret", "token"), (("token_url", "/login"),)),
    "talkdesk signed": Case(TalkdeskHook, "calls/t", ("private key", "token"), (("token_url", "/login"),)),
}

#: Makes a reply of everything that is to be kept secret.
Fault = Callable[[str], bytes]
JSON = {"Content-Type": "application/json"}


def refusal(status: int) -> Fault:
    return lambda secrets: reply(status, json.dumps({"error": secrets}).encode(), JSON)


def ok(body: Callable[[str], object]) -> Fault:
    return lambda secrets: reply(200, json.dumps(body(secrets)).encode(), JSON)


FAULTS: dict[str, Fault] = {
    **{
        f"{status} with an echo": refusal(status)
        for status in (400, 401, 403, 404, 407, 408, 418, 429, 500, 503)
    },
    "plain text": lambda secrets: reply(500, secrets.encode(), {"Content-Type": f"text/{secrets}"}),
    "no JSON": lambda secrets: reply(200, f"{{{secrets}".encode(), {"Content-Type": f"text/{secrets}"}),
    "a key twice": lambda secrets: reply(200, b'{"status": "x", "%s": 1, "%s": 2}' % ((b"k",) * 2), JSON),
    "an unknown word": ok(lambda secrets: {"status": secrets, "job": {"status": secrets}}),
    "a word beside the echo": ok(lambda secrets: {secrets: secrets}),
    "a failure that is explained": ok(
        lambda secrets: {
            "status": "failed",
            "failureReason": secrets,
            "error": secrets,
            "message": secrets,
            "response": {"status": "failed", "errorMessage": secrets},
        }
    ),
    "another job's id": ok(
        lambda secrets: {"status": "processing", "id": secrets, "batchJobId": secrets, "jobId": secrets}
    ),
    "a redirect": lambda secrets: reply(
        302, secrets.encode(), {"Location": signed(CANARIES["signed URL"], f"/x/{secrets.split(' ')[0]}")}
    ),
    "a strange redirect": lambda secrets: reply(308, b"", {"Location": f"nowhere:{secrets}"}),
    "no HTTP": lambda secrets: f"{secrets}\r\n\r\n".encode(),
    "a strange length": lambda secrets: f"HTTP/1.1 200 OK\r\nContent-Length: {secrets}\r\n\r\n".encode(),
    "a strange coding": lambda secrets: reply(200, b"{}", {"Content-Encoding": secrets}),
    "a strange header": lambda secrets: f"HTTP/1.1 200 OK\r\n{secrets}\r\n\r\n".encode(),
    "a strange retry-after": lambda secrets: reply(429, b"", {"Retry-After": secrets}),
    "a strange phrase": lambda secrets: f"HTTP/1.1 777 {secrets}\r\nContent-Length: 0\r\n\r\n".encode(),
    "a broken chunk": lambda secrets: (
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{secrets}\r\n".encode()
    ),
    "a reset": lambda secrets: b"",
}


@dataclass
class Careless:
    """
    A vendor that answers with everything it knows.

    :param fault: its answer.
    :param at_login: whether to a login, or else to the question that follows it.
    """

    case: Case
    fault: Fault
    at_login: bool

    def __call__(self, received: Received, connection: socket.socket) -> None:
        if received.target.endswith("/login") and not self.at_login:
            body = {"access_token": CANARIES["token"].value, "expires_in": 3600}
            connection.sendall(reply(200, json.dumps(body).encode(), JSON))
            return
        signed_url = signed(CANARIES["signed URL"], "https://storage.example/f")
        # A vendor that has not given a token yet cannot repeat it.
        untold = {"signed URL", *(self.case.kinds[1:] if self.at_login else ())}
        known = [canary.echo() for canary in self.case.canaries if canary.kind not in untold]
        sent = [value for _, value in received.headers] + [received.body.decode()]
        # As one line: what is echoed may stand in a header.
        everything = " ".join([*known, *sent, signed_url]).replace("\n", "\\n")
        if answer := self.fault(everything):
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)
        else:
            reset(connection)


def proxy_address(server: RawServer) -> str:
    return f"http://{USER}:{quote(CANARIES['proxy password'].value, safe='')}@{server.host}"


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and everything behind it, also what ``from None`` hides from a traceback."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def shown(error: BaseException) -> dict[str, bytes]:
    """Return everything that somebody may log of an error."""
    texts = {
        "traceback": "".join(traceback.format_exception(error)),
        "traceback with locals": "".join(
            traceback.TracebackException.from_exception(error, capture_locals=True).format()
        ),
    }
    for depth, link in enumerate(chain(error)):
        texts |= {
            f"str {depth}": str(link),
            f"repr {depth}": repr(link),
            f"args {depth}": repr(link.args),
            f"attributes {depth}": repr(vars(link)),
        }
    return {name: text.encode("utf-8", "surrogatepass") for name, text in texts.items()}


@pytest.fixture
def forgetful_masker() -> Iterator[None]:
    """Airflow's own masking, which our errors must not need, does not slow down the tests after these."""
    yield
    reset_secrets_masker()


@pytest.mark.usefixtures("forgetful_masker")
@pytest.mark.parametrize("drive", DRIVES)
@pytest.mark.parametrize(
    ("name", "at_login"),
    [(name, False) for name in CASES] + [(name, True) for name in CASES if "/login" in str(CASES[name])],
)
def test_nothing_that_a_vendor_echoes_is_shown(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    drive: Callable[[BatchJobHook, Operation[Any]], Any],
    at_login: bool,
) -> None:
    case = CASES[name]
    caplog.set_level(logging.DEBUG)
    found = []
    for fault_name, fault in FAULTS.items():
        tokens.slots.clear()
        with RawServer(Careless(case, fault, at_login)) as server:
            monkeypatch.setenv("AIRFLOW_CONN_CANARY", case.connection(server.url))
            if case.proxied:
                monkeypatch.setenv("HTTP_PROXY", proxy_address(server))
            hook = case.hook("canary")
            places: dict[str, bytes] = {}
            try:
                places["result"] = json.dumps(
                    asdict(drive(hook, status_operation(hook, case.job_id)))
                ).encode()
            except (VendorError, SettingsError) as error:
                places |= shown(error)
            objects = {"hook": hook, "settings": hook.settings, "auth": hook.auth, "slots": tokens.slots}
            places |= {name: repr(thing).encode() for name, thing in objects.items()}
            places["log"] = caplog.text.encode()
            assert server.requests
        caplog.clear()
        found += [(fault_name, *leak) for leak in leaks(places, case.canaries)]
    assert found == []


@pytest.mark.parametrize("name", CASES)
def test_what_airflow_stores_of_a_wait_and_what_our_objects_say_of_themselves_holds_no_secret(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    case = CASES[name]
    monkeypatch.setenv("AIRFLOW_CONN_CANARY", case.connection("http://127.0.0.1:9"))
    trigger = BatchJobTrigger("canary", [case.job_id], deadline_at=1.0)
    sensor = BatchJobSensor(task_id="wait", conn_id="canary", job_id=case.job_id)
    hook = case.hook("canary")
    request = Request(
        hook.conn_type,
        "POST",
        CANARIES["signed URL"].value,
        {canary.value: canary.value for canary in CANARIES.values()},
        CANARIES["password"].value.encode(),
    )
    login = next(asking(hook, case.job_id))
    everything = [canary.echo() for canary in CANARIES.values()]
    response = Response(200, {"x": everything[0]}, "".join(everything).encode())
    objects = [trigger, sensor, hook, hook.settings, hook.auth, request, response, login, tokens.slots]
    objects += [Token(CANARIES["token"].value, 1.0), hook.settings.at("https://h.example")]
    places = {type(thing).__name__: f"{thing!r} {thing}".encode() for thing in objects}
    places["row of the trigger"] = json.dumps(trigger.serialize()).encode()
    places["arguments of the sensor"] = repr(vars(sensor)).encode()
    assert leaks(places, CANARIES.values()) == []
