"""A hook is of use by itself: its session, its calls, and ``HttpOperator`` on its connection."""

from __future__ import annotations

import copy
import json
import pickle
import socket
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from airflow.sdk import Connection

from airflow_provider_jobstatus.core import tokens
from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    SettingsError,
    TransportError,
    UnexpectedResponse,
)
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.questionpro import QuestionProHook
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.hooks.talkdesk import TalkdeskHook
from tests.support.raw_server import RawServer, Received, reply, says

KEY = "key-5f3a-9c1d"
HEADERS = {AftercareHook: "X-Aftercare-Key", QuestionProHook: "api-key", RulerHook: "Authorization"}


def hook(hook_class: type[BatchJobHook], url: str, **fields: Any) -> Any:
    extra = fields.pop("extra", {})
    connection = Connection(
        **{
            "conn_id": "c",
            "conn_type": hook_class.conn_type,
            "host": f"{url}/base",
            "password": KEY,
            "extra": json.dumps(extra),
            **fields,
        }
    )
    return hook_class.from_connection(connection)


@pytest.mark.parametrize("hook_class", HEADERS)
@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("/a/b?c=d", "/base/a/b?c=d"),
        ("a", "/base/a"),
        ("", "/base"),
        ("?x=1", "/base?x=1"),
        ("//a/b", "/base//a/b"),
    ],
)
def test_a_path_goes_to_the_base_url_with_the_credential(
    hook_class: type[BatchJobHook], url: str, target: str
) -> None:
    with RawServer(says(reply(200, b"{}"))) as server, hook(hook_class, server.url).get_conn() as session:
        answer = session.get(url)
    (received,) = server.requests
    assert received.target == target
    assert (received.header(HEADERS[hook_class]) or "").endswith(KEY)
    # Nor does the reply hold it, for whoever logs its request.
    assert KEY not in repr(answer.request.headers)


@pytest.mark.parametrize("hook_class", HEADERS)
def test_a_redirect_elsewhere_carries_no_credential_and_the_way_back_does(
    hook_class: type[BatchJobHook],
) -> None:
    def at_home(received: Received, connection: socket.socket) -> None:
        back = received.target.endswith("/back")
        connection.sendall(
            reply(200, b"done") if back else reply(302, b"", {"Location": elsewhere.url + "/x"})
        )

    def away(_: Received, connection: socket.socket) -> None:
        connection.sendall(reply(307, b"", {"Location": f"{home.url}/back"}))

    with (
        RawServer(away) as elsewhere,
        RawServer(at_home) as home,
        hook(hook_class, home.url).get_conn() as session,
    ):
        assert session.get("/go").text == "done"
        session.get(f"{elsewhere.url}/straight")
    carried = [KEY in repr(received.headers) for received in elsewhere.requests]
    assert carried == [False, False]
    assert [KEY in repr(received.headers) for received in home.requests] == [True, True, True]


@pytest.mark.parametrize(
    "location", ["http://user@127.0.0.1/x", "ftp://files.example/x", "http://169.254.169.254/latest"]
)
def test_a_redirect_to_where_nobody_should_call_is_refused_and_may_be_left_alone(location: str) -> None:
    redirect = reply(303, b"", {"Location": location})
    with RawServer(says(redirect)) as server, hook(RulerHook, server.url).get_conn() as session:
        with pytest.raises(UnexpectedResponse, match="redirects to an address"):
            session.get("/x")
        assert session.get("/x", allow_redirects=False).status_code == 303


class Login:
    """Gives tokens, of which only the last is good."""

    def __init__(self) -> None:
        self.given: list[str] = []

    def __call__(self, received: Received, connection: socket.socket) -> None:
        if received.target == "/login":
            self.given.append(f"token-number-{len(self.given)}")
            body = json.dumps({"access_token": self.given[-1], "expires_in": 3600}).encode()
            connection.sendall(reply(200, body, {"Content-Type": "application/json"}))
        elif received.header("Authorization") == f"Bearer {self.given[-1]}" and len(self.given) > 1:
            connection.sendall(reply(200, received.body))
        else:
            connection.sendall(reply(401, b"no"))


@pytest.fixture
def no_tokens() -> None:
    tokens.slots.clear()


@pytest.mark.usefixtures("no_tokens")
def test_a_login_is_made_and_renewed_and_the_request_repeated_with_its_body() -> None:
    login = Login()
    with RawServer(login) as server:
        made = hook(RulerHook, server.url, login="me", extra={"auth_url": f"{server.url}/login"})
        with made.get_conn() as session:
            assert session.post("/x", json={"a": 1}).json() == {"a": 1}
            assert session.get("/y").status_code == 200
    assert [received.target for received in server.requests] == [
        "/login",
        "/base/x",
        "/login",
        "/base/x",
        "/base/y",
    ]


@pytest.mark.usefixtures("no_tokens")
def test_a_token_that_another_thread_has_replaced_since_is_not_shown() -> None:
    tokens_given = iter(["Jw3Zf6UgTe0PnKa2MvHs5", "9LpVt4NcW8yBd1Qx7Rk2m"])
    asked, replaced = threading.Event(), threading.Event()

    def answer(received: Received, connection: socket.socket) -> None:
        shown = received.header("Authorization") or ""
        if received.target == "/login":
            connection.sendall(reply(200, json.dumps({"access_token": next(tokens_given)}).encode()))
        elif received.target == "/base/slow":
            asked.set()
            assert replaced.wait(20)
            connection.sendall(reply(502, f"refused: {shown}".encode()))
        else:
            connection.sendall(reply(401 if "Jw3Zf" in shown else 200, b"{}"))

    with RawServer(answer) as server, ThreadPoolExecutor() as pool:
        made = hook(RulerHook, server.url, login="me", extra={"auth_url": f"{server.url}/login"})
        slow = pool.submit(made.run, "/slow")
        assert asked.wait(20)
        assert made.run("/quick").status_code == 200
        replaced.set()
        error = slow.exception()

    assert "refused: ***" in str(error).replace("Bearer ", "")


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_session_is_not_copied_without_its_credential(copied: Callable[[Any], Any]) -> None:
    with (
        hook(AftercareHook, "https://vendor.test").get_conn() as session,
        pytest.raises(TypeError, match=r"call get_conn\(\) again where"),
    ):
        copied(session)


def reached(start: object) -> Iterator[str]:
    """Yield every text that an error leads to, by its causes, requests and frames."""
    seen, left = set[int](), [start]
    while left:
        thing = left.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, (str, bytes)):
            yield thing if isinstance(thing, str) else thing.decode("latin-1")
        elif isinstance(thing, Mapping):
            left += thing.values()
        elif isinstance(thing, (list, tuple)):
            left += thing
        elif isinstance(thing, BaseException):
            left += [*thing.args, thing.__context__, thing.__cause__, vars(thing)]
            left += [frame.f_locals for frame, _ in traceback.walk_tb(thing.__traceback__)]
        elif isinstance(thing, (requests.Request, requests.PreparedRequest, requests.Response)):
            left.append(vars(thing))


def _ends(received: Received, connection: socket.socket) -> None:
    connection.close()


def _cut(received: Received, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nabc")
    connection.close()


def _moved(received: Received, connection: socket.socket) -> None:
    connection.sendall(reply(302, b"", headers={"Location": "http://10.0.0.9:99999/"}))


@pytest.mark.parametrize("answer", [_ends, _cut, _moved])
@pytest.mark.parametrize("way", ["run", "session"])
def test_the_error_of_a_call_leads_to_no_credential(way: str, answer: Any) -> None:
    with RawServer(answer) as server:
        made = hook(AftercareHook, server.url)
        with made.get_conn() as session, pytest.raises(Exception) as caught:  # noqa: PT011
            made.run("/x") if way == "run" else session.get("/x")

    # What the test holds itself is in its own frame.
    error = caught.value.with_traceback(caught.value.__traceback__.tb_next)  # type: ignore[union-attr]
    assert not [text for text in reached(error) if KEY in text]


@pytest.mark.usefixtures("no_tokens")
def test_a_body_that_can_be_read_only_once_is_not_sent_again() -> None:
    login = Login()
    with RawServer(login) as server:
        made = hook(RulerHook, server.url, login="me", extra={"auth_url": f"{server.url}/login"})
        with made.get_conn() as session, Path(__file__).open("rb") as file:
            assert session.put("/x", data=file).status_code == 401


def test_a_session_waits_no_longer_than_the_connection_says() -> None:
    with RawServer(lambda _, __: server.ended.wait(5) and None) as server:
        made = hook(RulerHook, server.url, extra={"timeout": 0.2})
        with made.get_conn() as session, pytest.raises(requests.ReadTimeout):
            session.get("/x")
        with pytest.raises(TransportError, match="no usable reply"):
            made.run("/x?secret=1")


def test_certificate_checks_stay_on_and_netrc_is_not_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login jo password other-secret")
    monkeypatch.setenv("HOME", str(tmp_path))
    with RawServer(says(reply(200, b"{}"))) as server:
        with hook(AftercareHook, server.url).get_conn() as session:
            session.get("/x")
            with pytest.raises(SettingsError, match="certificates are always checked"):
                session.get("/x", verify=False)
        with pytest.raises(SettingsError, match="certificates are always checked"):
            hook(AftercareHook, server.url).run("/x", extra_options={"verify": False})
    (received,) = server.requests
    assert received.header("Authorization") is None


@pytest.mark.parametrize(
    ("method", "data", "target", "body"),
    [
        ("get", {"a": "b c"}, "/base/x?a=b+c", b""),
        ("POST", {"a": "b"}, "/base/x", b"a=b"),
        ("PUT", "text", "/base/x", b"text"),
        ("HEAD", {"a": "b"}, "/base/x", b""),
    ],
)
def test_a_call_sends_what_the_http_hook_would(method: str, data: object, target: str, body: bytes) -> None:
    with RawServer(says(reply(200, b""))) as server:
        made = hook(AftercareHook, server.url)
        made.method = AftercareHook(method=method).method
        assert made.run("/x", data, {"X-Mine": "1"}, {}).status_code == 200
    (received,) = server.requests
    assert (received.method, received.target, received.body) == (method.upper(), target, body)
    assert (received.header("X-Mine"), received.header("X-Aftercare-Key")) == ("1", KEY)


def test_a_status_of_400_and_above_is_an_error_without_our_secret_unless_it_is_asked_for() -> None:
    with RawServer(
        says(reply(404, b"nothing for " + KEY.encode()), reply(403, b"no"), reply(404, b""))
    ) as server:
        made = hook(RulerHook, server.url)
        with pytest.raises(NotFound) as caught:
            made.run("/x?q=1")
        shown = f"ruler GET {server.host}/base/x (connection 'c'): answered 404 Not Found: nothing for ***"
        assert str(caught.value) == shown
        with pytest.raises(AccessDenied):
            made.run("/x")
        assert made.run("/x", extra_options={"check_response": False}).status_code == 404
        with pytest.raises(
            SettingsError, match="extra_options has 'retries'; there are allow_redirects, cert"
        ):
            made.run("/x", extra_options={"retries": 3})


@pytest.mark.parametrize("hook_class", [*HEADERS, TalkdeskHook])
def test_a_hook_takes_what_the_http_hook_is_built_with(hook_class: Callable[..., Any]) -> None:
    made = hook_class(
        method="post",
        auth_type=None,
        tcp_keep_alive=True,
        tcp_keep_alive_idle=120,
        tcp_keep_alive_count=20,
        tcp_keep_alive_interval=30,
    )
    assert made.method == "POST"
    with pytest.raises(SettingsError, match="auth_type: the connection's own credential is sent"):
        hook_class(auth_type=object)
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        hook_class(colour="red")
    with pytest.raises(SettingsError, match="set the task's retries"):
        made.run_with_advanced_retry({}, "/x")


@pytest.mark.filterwarnings("ignore:.*operator_helpers.determine_kwargs")  # of the operator's own
@pytest.mark.usefixtures("no_tokens")
def test_the_http_operator_works_on_a_vendors_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    http = pytest.importorskip("airflow.providers.http.operators.http")
    with RawServer(says(reply(200, b'[{"jobId": "j"}]'))) as server:
        uri = {"conn_type": "ruler", "host": f"{server.url}/base", "password": KEY}
        monkeypatch.setenv("AIRFLOW_CONN_MY_RULER", json.dumps(uri))
        task = http.HttpOperator(
            task_id="t",
            http_conn_id="my_ruler",
            method="GET",
            endpoint="s/batch/jobs",
        )
        assert json.loads(task.execute({})) == [{"jobId": "j"}]
    assert server.requests[0].header("Authorization") == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (407, TransportError, "the proxy that HTTP_PROXY names refuses the connection with status 407"),
        (403, AccessDenied, "answered 403 Forbidden: Basic *** is not let in"),
    ],
)
def test_a_call_that_a_proxy_refuses_does_not_show_its_password(
    monkeypatch: pytest.MonkeyPatch, status: int, kind: type[Exception], text: str
) -> None:
    def echo(received: Received, connection: socket.socket) -> None:
        login = received.header("Proxy-Authorization")
        connection.sendall(reply(status, f"{login} is not let in".encode()))

    with RawServer(echo) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", "//me:the-proxys-own@"))
        with pytest.raises(kind) as caught:
            hook(RulerHook, "http://127.0.0.1:1", extra={"site_id": "s"}).run("/companies")
    assert caught.value.reason == text
