"""What every vendor's hook inherits, shown with a vendor from outside the package."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
import traceback
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook
from airflow.providers_manager import HookInfo
from airflow.sdk import Connection
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time import supervisor, task_runner
from airflow.sdk.execution_time.comms import ConnectionResult, ErrorResponse

from airflow_provider_jobstatus import _compat
from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    SettingsError,
    TransportError,
    UnexpectedResponse,
)
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.core.jobs import JobState, Listed
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.core.tokens import Token
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.connection_lookup import aread_connection, read_connection
from airflow_provider_jobstatus.hooks.connection_settings import ConnectionSettings
from airflow_provider_jobstatus.hooks.registry import hook_for
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.hooks.toy import ToyHook
from tests.support.asking import asking
from tests.support.flows import finish, hook_of
from tests.support.flows import reply as response
from tests.support.raw_server import RawServer, Received, reply, says

KEY = "toy key/5+ü?"


def toy(**fields: Any) -> ToyHook:
    hook: ToyHook = hook_of(ToyHook, **{"conn_id": "my_toy", "password": KEY, **fields})
    return hook


def toy_connection(**fields: Any) -> Connection:
    return Connection(**{"conn_id": "my_toy", "conn_type": "toy", "password": KEY, **fields})


def answer(hook: BatchJobHook, body: object, status: int = 200) -> Any:
    """Return what a status flow makes of one reply, credentials and redaction included."""
    return finish(asking(hook, "007"), response(body, status))


class CountingHook(ToyHook):
    """Counts how often a job id is parsed."""

    def parse_job_id(self, job_id: str) -> str:
        self.__dict__.setdefault("parsed", []).append(job_id)
        return str(super().parse_job_id(job_id))


def test_a_job_id_is_parsed_once_and_its_status_asked_for_as_often_as_need_be() -> None:
    polls = says(*(reply(200, b'{"state": "Busy"}') for _ in range(4)))
    with RawServer(polls) as server:
        hook = CountingHook.from_connection(toy_connection(host=server.url, password="key-1"))
        operation = hook.status_operation(hook.parse_job_id("7"))

        async def main() -> list[JobState]:
            async with hook.aconnect() as client:
                return [(await hook.acall(operation, client)).state for _ in range(2)]

        with hook.connect() as client:
            states = [hook.call(operation, client).state for _ in range(2)]
        assert states + asyncio.run(main()) == [JobState.RUNNING] * 4
    assert hook.parsed == ["7"]
    assert {received.header("X-Toy-Key") for received in server.requests} == {"key-1"}


def test_a_hook_without_parts_of_its_own_is_given_the_text_of_a_job_id() -> None:
    assert toy().parse_job_id(" 7 ") == "7"
    with pytest.raises(SettingsError, match="is empty"):
        toy().parse_job_id(" ")


def test_a_streamed_operation_is_opened_and_another_is_called() -> None:
    def flow() -> Any:
        response = yield toy().request("GET", "/file")
        return response

    hook = toy()
    with pytest.raises(ValueError, match="is opened, not called"):
        hook.call(Operation(flow, streamed=True))
    with pytest.raises(ValueError, match="is called, not opened"), hook.open(Operation(flow)):
        pass


def test_a_status_is_asked_for_with_the_credential_and_a_quoted_query() -> None:
    request = next(asking(toy(), "7"))
    assert request.method == "GET"
    assert request.url == "https://api.toy.example/v1/jobs/7?view=short+%26+sweet"
    assert request.headers == {"X-Toy-Key": KEY}
    assert request.vendor == "toy"


def test_a_status_comes_back_in_our_words_and_in_the_vendors() -> None:
    status = answer(toy(), {"state": "Done", "why": None})
    assert (status.job_id, status.vendor, status.state, status.vendor_status, status.detail) == (
        "007",
        "toy",
        JobState.SUCCEEDED,
        "Done",
        None,
    )


@pytest.mark.parametrize("word", ["done\0", "do\u200bne", "done\ud800", "\ufeffdone", "d\x1bone", "x" * 501])
def test_a_word_that_would_have_to_be_cleaned_first_is_none(word: str) -> None:
    with pytest.raises(UnexpectedResponse, match="answered a status that is no word"):
        answer(toy(), {"state": word})


def test_an_unknown_word_is_named_with_the_setting_that_teaches_it() -> None:
    with pytest.raises(UnexpectedResponse) as caught:
        answer(toy(), {"state": "Hibernating"})
    text = str(caught.value)
    assert "'Hibernating'" in text
    assert "'statuses'" in text
    assert "'my_toy'" in text
    assert "toy" in text
    assert "/v1/jobs/007" in text


def test_the_connection_may_change_what_a_known_word_means() -> None:
    hook = toy(extra={"statuses": {"done": "partial", " HIBERNATING ": "running"}})
    assert answer(hook, {"state": "Done"}).state is JobState.PARTIAL
    assert answer(hook, {"state": "Hibernating"}).state is JobState.RUNNING
    assert answer(toy(), {"state": "Done"}).state is JobState.SUCCEEDED  # the table itself is as it was


def echoes() -> list[str]:
    padded = [f"{'x' * shift}{KEY}y".encode() for shift in range(3)]
    encoded = [base64.b64encode(text).decode() for text in (KEY.encode(), *padded)]
    return [KEY, quote(KEY, safe=""), quote_plus(KEY), *encoded]


def traces(text: str) -> list[str]:
    """Return the recognisable pieces of the key that ``text`` still holds."""
    core = base64.b64encode(KEY[3:9].encode()).decode()
    return [piece for piece in (KEY, "toy key", "toy%20key", "toy+key", KEY[3:], core) if piece in text]


@pytest.mark.parametrize("form", echoes())
def test_a_secret_that_the_vendor_echoes_is_redacted_in_an_error(form: str) -> None:
    with pytest.raises(AccessDenied) as caught:
        answer(toy(), f"no such key: {form}".encode(), status=401)
    for text in (str(caught.value), caught.value.reason, repr(caught.value)):
        assert traces(text) == []
    assert "no such key" in str(caught.value)
    assert "***" in str(caught.value)


@pytest.mark.parametrize("form", echoes())
def test_a_secret_that_the_vendor_echoes_is_redacted_in_a_status(form: str) -> None:
    status = answer(toy(), {"state": "Broken", "why": f"refused: {form}."})
    assert traces(json.dumps(status.as_dict(), ensure_ascii=False)) == []
    assert status.detail is not None
    assert status.detail.startswith("refused: ")
    assert "***" in status.detail


def test_a_secret_that_stands_as_the_status_word_is_redacted() -> None:
    hook = toy(extra={"statuses": {KEY: "failed"}})
    assert answer(hook, {"state": KEY}).vendor_status == "***"


def test_a_secret_in_the_word_of_a_list_is_redacted() -> None:
    assert toy().listed_status("7", Listed(f"no {KEY}")).vendor_status == "no ***"
    assert toy().listed_status("7", Listed("Busy")).vendor_status == "Busy"


def test_a_status_is_searched_for_the_token_that_its_own_request_carried() -> None:
    connection = Connection(conn_id="r", conn_type="ruler", login="me", password="pass-word-1")
    hook = RulerHook.from_connection(connection)
    exchange = next(slow := asking(hook, "s/j"))
    exchange.slot.store(Token("first-token-1", 3600.0))
    slow.send("first-token-1")
    exchange.slot.store(Token("second-token-2", 3600.0))
    next(asking(hook, "s/k"))
    body = b'{"status": "failed", "failureReason": "no rows for first-token-1"}'
    with pytest.raises(StopIteration) as stop:
        slow.send(Response(200, {"content-type": "application/json"}, body))
    assert stop.value.value.detail == "no rows for ***"
    exchange.slot.forget("second-token-2")


def test_a_secret_in_an_unknown_status_word_is_redacted() -> None:
    with pytest.raises(UnexpectedResponse) as caught:
        answer(toy(), {"state": f"key {KEY}"})
    assert traces(str(caught.value)) == []


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer(says(reply(200, b'{"state": "Busy", "why": "in the queue"}'))) as server:
        yield server


def test_a_hook_from_a_connection_asks_and_answers(server: RawServer) -> None:
    hook = toy(host=f"{server.url}/v1", password="toy-key-5")
    assert hook.test_connection() == (True, "the toy vendor knows the key")
    status = hook.job_status("7")
    assert (status.state, status.detail) == (JobState.RUNNING, "in the queue")
    assert [request.target for request in server.requests] == [
        "/v1/me",
        "/v1/jobs/7?view=short+%26+sweet",
    ]
    assert server.requests[1].header("X-Toy-Key") == "toy-key-5"


def test_a_hook_asks_in_an_event_loop_as_on_a_worker(server: RawServer) -> None:
    hook = toy(host=f"{server.url}/v1", password="toy-key-5")

    async def ask() -> Any:
        async with hook.aconnect() as client:
            return await client.run(asking(hook, "7"))

    assert asyncio.run(ask()) == hook.job_status("7")
    assert server.requests[0].target == server.requests[1].target
    assert server.requests[0].header("X-Toy-Key") == server.requests[1].header("X-Toy-Key") == "toy-key-5"


def test_a_malformed_job_id_is_refused_before_anything_is_sent(server: RawServer) -> None:
    with pytest.raises(SettingsError, match="'seven' is no number"):
        toy(host=server.url, password="toy-key-5").job_status("seven")
    assert server.connections == 0


def test_a_connection_that_is_refused_tests_badly_and_shows_no_key() -> None:
    with RawServer(says(reply(403, b"toy-key-5 is revoked"))) as server:
        good, message = toy(host=server.url, password="toy-key-5").test_connection()
    assert not good
    assert "403" in message
    assert "toy-key-5" not in message


def test_a_connection_without_a_key_tests_badly_and_asks_nothing(server: RawServer) -> None:
    good, message = toy(host=server.url, password=None).test_connection()
    assert (good, message) == (False, "this connection: password is not set; set it")
    assert server.connections == 0


def test_a_connection_that_nobody_answers_tests_badly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    good, message = toy(host=f"http://127.0.0.1:{port}").test_connection()
    assert not good
    assert f"GET 127.0.0.1:{port}/v1/me: " in message
    assert "no usable reply" in message


@pytest.mark.parametrize("name", ["missing.pem", "x" * 5000, "y/" * 3000])
def test_a_ca_file_that_is_not_here_is_named(name: str, tmp_path: Any) -> None:
    hook = toy(extra={"verify": str(tmp_path / name)})
    with pytest.raises(SettingsError, match="connection 'my_toy': extra 'verify' names a file that is not"):
        hook.job_status("7")
    assert hook.test_connection()[0] is False


def test_a_call_that_takes_longer_than_the_timeout_is_given_up() -> None:
    with RawServer(lambda _, __: server.ended.wait(5) and None) as server:
        hook = toy(host=server.url, password="toy-key-5", extra={"timeout": 0.2})
        with pytest.raises(TransportError):
            hook.job_status("7")


def test_a_reply_that_drips_is_given_up_when_the_call_as_a_whole_took_too_long() -> None:
    def drip(_: Received, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            connection.sendall(b" ")
            if server.ended.wait(0.02):
                return

    with RawServer(drip) as server:
        hook = toy(host=server.url, password="toy-key-5", extra={"timeout": 0.3})
        started = time.monotonic()
        with pytest.raises(TransportError, match="took too long as a whole"):
            hook.job_status("7")
        assert time.monotonic() - started < 10


@pytest.mark.parametrize("conn_type", ["http", "", "ruler"])
def test_a_connection_of_another_type_is_refused(conn_type: str) -> None:
    with pytest.raises(SettingsError, match=f"type is '{conn_type}'; choose 'toy'"):
        toy(conn_type=conn_type)


@pytest.mark.parametrize("hook_class", [ToyHook, RulerHook])
def test_a_constructor_reads_no_connection_and_asks_nobody(
    hook_class: type[BatchJobHook], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a constructor does no more than store")

    monkeypatch.setattr(BaseHook, "get_connection", refuse)
    monkeypatch.setattr(BaseHook, "aget_connection", refuse, raising=False)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("sqlite3.connect", refuse)
    assert hook_class().conn_id == hook_class.default_conn_name
    assert hook_class("other").conn_id == "other"
    assert hook_class(**{hook_class.conn_name_attr: "third"}).conn_id == "third"


def test_a_hook_built_from_a_connection_never_looks_it_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the connection has been read already")

    monkeypatch.setattr(BaseHook, "get_connection", refuse)
    hook = toy()
    assert hook.conn_id == "my_toy"
    assert hook.settings.base_url == "https://api.toy.example/v1"
    assert hook.auth.secrets == (KEY,)


def test_a_hook_reads_its_connection_by_id_when_it_is_first_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    hook = ToyHook("from_env")
    monkeypatch.setenv("AIRFLOW_CONN_FROM_ENV", '{"conn_type": "toy", "password": "toy-key-6"}')
    assert isinstance(hook.settings, ConnectionSettings)
    assert hook.settings.password == "toy-key-6"
    monkeypatch.delenv("AIRFLOW_CONN_FROM_ENV")
    assert hook.settings.password == "toy-key-6"  # once


def test_a_connection_that_is_not_defined_is_named() -> None:
    with pytest.raises(SettingsError, match="connection 'nowhere' is not defined"):
        read_connection("nowhere")
    with pytest.raises(SettingsError, match="connection 'nowhere' is not defined"):
        asyncio.run(aread_connection("nowhere"))
    accepted, message = ToyHook("nowhere").test_connection()
    assert not accepted
    assert message.startswith("this connection is not defined; ")


@pytest.mark.parametrize(("misses", "found"), [(1, True), (2, True), (3, False)])
def test_a_connection_that_airflow_does_not_find_is_looked_for_again(
    misses: int, found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow says the same when its API server is away for a while."""
    looked = []

    def look(conn_id: str) -> Connection:
        looked.append(conn_id)
        if len(looked) <= misses:
            raise AirflowNotFoundException("not here")
        return Connection(conn_id=conn_id, conn_type="toy", password="toy-key-6")

    monkeypatch.setattr(BaseHook, "get_connection", look)
    if found:
        assert read_connection("my_toy").password == "toy-key-6"
    else:
        with pytest.raises(SettingsError, match="'my_toy' is not defined"):
            read_connection("my_toy")
    assert len(looked) == min(misses + 1, 3)


class SealedVault:
    """A secrets backend that is away."""

    def get_connection(self, conn_id: str) -> Connection:
        raise ConnectionError(f"sealed; token {KEY}")


def test_a_secrets_backend_that_fails_does_not_make_a_connection_undefined(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = supervisor.ensure_secrets_backend_loaded()
    monkeypatch.setattr(supervisor, "ensure_secrets_backend_loaded", lambda: [SealedVault(), *known])
    for reading in (lambda: read_connection("vaulted"), lambda: asyncio.run(aread_connection("vaulted"))):
        with pytest.raises(TransportError) as caught:
            reading()
        assert str(caught.value) == (
            "Airflow: connection 'vaulted' cannot be read (a secrets backend failed with ConnectionError)"
        )
    accepted, message = ToyHook("vaulted").test_connection()
    assert not accepted
    assert "cannot be read" in message
    with monkeypatch.context() as in_triggerer:
        nothing = ApiServer(ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND))
        in_triggerer.setattr(task_runner, "SUPERVISOR_COMMS", nothing, raising=False)
        with pytest.raises(TransportError, match="a secrets backend failed with ConnectionError"):
            asyncio.run(aread_connection("vaulted"))
    monkeypatch.setenv("AIRFLOW_CONN_VAULTED", '{"conn_type": "toy", "password": "toy-key-6"}')
    assert read_connection("vaulted").password == "toy-key-6"


@pytest.mark.parametrize(
    "value",
    [
        '{"conn_type": ',
        '{"conn_type": "toy", "password": "p4ss',
        '{"conn_type": "toy", "passwort": "p4ss"}',
        " ",
    ],
)
def test_a_variable_that_is_no_connection_is_named_and_not_shown(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", value)
    for reading in (lambda: read_connection("broken"), lambda: asyncio.run(aread_connection("broken"))):
        with pytest.raises(SettingsError) as caught:
            reading()
        assert "AIRFLOW_CONN_BROKEN is not readable as JSON or as a URI" in str(caught.value)
        assert "p4ss" not in "".join(traceback.format_exception(caught.value))


class ApiServer:
    """Answers a worker and a triggerer alike."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def send(self, _: object) -> object:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def asend(self, _: object) -> object:
        return self.send(_)


async def missing(_: str) -> None:
    raise AirflowNotFoundException("not here")


def refuse(_: str) -> None:
    raise AssertionError("in a triggerer this blocks the event loop's only line to the supervisor")


@pytest.mark.parametrize("where", ["worker", "triggerer"])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND), SettingsError),
        (ErrorResponse(error=ErrorType.API_SERVER_ERROR), TransportError),
        # The API server is back when it is asked once more.
        (ConnectionResult.model_construct(conn_id="mine", conn_type="toy"), TransportError),
        (OSError("the line is cut"), TransportError),
    ],
)
def test_what_the_api_server_says_decides_whether_a_connection_is_defined(
    answer: object, kind: type[Exception], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", ApiServer(answer), raising=False)
    if where == "worker":

        def not_found(_: str) -> None:
            raise AirflowNotFoundException("not here")

        monkeypatch.setattr(BaseHook, "get_connection", not_found)
        with pytest.raises(kind, match="connection 'mine' "):
            read_connection("mine")
    else:
        monkeypatch.setattr(BaseHook, "aget_connection", missing)
        monkeypatch.setattr(BaseHook, "get_connection", refuse)
        with pytest.raises(kind, match="connection 'mine' "):
            asyncio.run(aread_connection("mine"))


def test_a_connection_is_read_in_an_event_loop_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_FROM_ENV", '{"conn_type": "toy", "password": "toy-key-6"}')
    connection = asyncio.run(aread_connection("from_env"))
    assert ToyHook.from_connection(connection).settings.password == "toy-key-6"


def test_outside_a_triggerer_a_connection_is_also_looked_up_as_on_a_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(BaseHook, "aget_connection", missing)
    monkeypatch.setattr(BaseHook, "get_connection", lambda conn_id: toy_connection(conn_id=conn_id))
    assert asyncio.run(aread_connection("my_toy")).conn_id == "my_toy"


def registered(monkeypatch: pytest.MonkeyPatch, conn_type: str, hook_class_name: str) -> None:
    """Add an entry to Airflow's registry, as provider metadata does."""
    info = HookInfo(
        hook_class_name=hook_class_name,
        connection_id_attribute_name="conn_id",
        package_name="somebody-elses",
        hook_name="Somebody's",
        connection_type=conn_type,
        connection_testable=False,
    )
    monkeypatch.setitem(_compat.hook_registry(), conn_type, info)


def test_the_connections_type_names_the_hook(sandbox: Sandbox) -> None:
    hook = hook_for(read_connection("ruler_default"))
    assert type(hook) is RulerHook
    assert hook.settings.base_url == f"{sandbox.api_url}/v1"


def test_a_hook_that_another_provider_has_registered_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    registered(monkeypatch, "toy", "tests.hooks.toy.ToyHook")
    assert type(hook_for(toy_connection())).__name__ == "ToyHook"
    assert hook_for(toy_connection()).settings.password == KEY
    with pytest.raises(SettingsError, match="is plain http"):
        hook_for(toy_connection(host="http://toy.example"))
    registered(monkeypatch, "toy", "tests.hooks.toy.NotABatchJobHook")
    with pytest.raises(SettingsError, match="no hook for batch jobs"):
        hook_for(toy_connection())


@pytest.mark.parametrize("conn_type", ["nobodys", "", "generic", "fs"])
def test_a_connection_type_without_a_hook_for_batch_jobs_is_refused(conn_type: str) -> None:
    with pytest.raises(SettingsError) as caught:
        hook_for(toy_connection(conn_type=conn_type))
    assert f"connection 'my_toy' is of type '{conn_type}', and no hook for" in str(caught.value)
    assert "this provider has aftercare, questionpro, ruler, talkdesk" in str(caught.value)


@pytest.mark.parametrize(
    ("password", "login", "said"),
    [
        ("Bearer abc-def", None, "begins with 'Bearer'"),
        ("abc-def", None, None),
        ("Bearer abc", "me", None),
        ('"abc-def"', None, "stands in quotes"),
        ("abc-def'", None, "stands in quotes"),
        ("Token abc-def", None, "has white space in it"),
        ("X-Aftercare-Key: abc-def", None, "begins with a name"),
        ("x-aftercare-key:abc-def", None, "begins with a name"),
        ("API_KEY=abc-def", None, "begins with a name"),
        ("Authorization: Basic abc-def", None, "begins with a name"),
        ("'abc-def'", "me", "stands in quotes"),
        ("abc def", "me", None),
        ("abc-def'", "me", None),
        ("abc\u200bdef", "me", "has the invisible character U+200B"),
        ("abcd\u00a0ef", "me", "has the invisible character U+00A0"),
        ("\ufeffabc-def", "me", "has the invisible character U+FEFF"),
        ("abc-d\u00fcf\u20ac", "me", None),
        ("YWJjZGVmkey=", None, None),
        ("abc:def", None, None),
    ],
)
def test_a_key_that_was_pasted_with_more_than_itself_is_warned_about_and_not_shown(
    password: str, login: str | None, said: str | None
) -> None:
    connection = Connection(conn_id="my_ruler", conn_type="ruler", password=password, login=login)
    hook = RulerHook.from_connection(connection)
    caveats = list(hook.connection_warnings())
    assert login or "Bearer" not in hook.auth.secrets[0]
    assert [f"password {said}" in caveat for caveat in caveats] == [True] * (said is not None)
    assert not any("abc" in caveat for caveat in caveats)


@pytest.mark.parametrize(
    ("name", "shown"), [("siteid", True), ("Site-Id", True), ("q8Zt1Lx@host", False), ("x" * 40, False)]
)
def test_an_unknown_extra_is_shown_unless_it_may_be_the_rest_of_a_secret(name: str, shown: bool) -> None:
    connection = Connection(conn_id="my_ruler", conn_type="ruler", password="p", extra=json.dumps({name: 1}))
    [caveat] = RulerHook.from_connection(connection).connection_warnings()
    assert "is unknown and has no effect" in caveat
    assert (name in caveat) == shown


@pytest.mark.parametrize(("extra", "missing", "named"), [
    ({"tokenurl": "https://id.example/t"}, "extra 'token_url' is not set", "extra 'tokenurl' is unknown"),
    ({"acount": "acme"}, "extra 'account' is not set", "extra 'acount' is unknown"),
    ({"account": "acme", "privatekey": "x"}, "password is not set", "extra 'privatekey' is unknown"),
    ({"q8Zt1Lx@host": ""}, "extra 'account' is not set", "extra with a name that is none (not shown)"),
])  # fmt: skip
def test_where_a_field_is_missing_extras_that_are_unknown_are_named(
    extra: dict[str, str], missing: str, named: str
) -> None:
    host = "https://gw.example" if "tokenurl" in extra else None
    connection = Connection(
        conn_id="mine", conn_type="talkdesk", login="me", host=host, extra=json.dumps(extra)
    )
    with pytest.raises(SettingsError) as caught:
        _ = TalkdeskHook.from_connection(connection).auth
    assert missing in str(caught.value)
    assert named in str(caught.value)
