"""What a session of a user's own keeps to besides the credential: time, addresses, cookies, silence."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest
import requests

from airflow_provider_jobstatus.core import tokens
from airflow_provider_jobstatus.core.errors import TransportError, UnexpectedResponse
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from tests.hooks.test_get_conn import hook
from tests.support.raw_server import RawServer, Received, reply, says

CALLS: dict[str, Callable[[Any], Any]] = {
    "run": lambda made: made.run("/x"),
    "get_conn": lambda made: made.get_conn().get("/x"),
}
EITHER = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@EITHER
def test_a_dripping_body_ends_with_the_time_of_a_call(call: Callable[[Any], Any]) -> None:
    def drip(_: Received, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")
        while not server.ended.wait(0.02):
            connection.sendall(b"x")

    with RawServer(drip) as server:
        made = hook(RulerHook, server.url, extra={"timeout": 0.3})
        with pytest.raises((TransportError, requests.ReadTimeout), match="took too long as a whole"):
            call(made)


def test_all_redirects_of_a_call_have_one_time_together() -> None:
    def on_and_on(_: Received, connection: socket.socket) -> None:
        server.ended.wait(0.1)
        connection.sendall(reply(302, b"", {"Location": "/again"}))

    with RawServer(on_and_on) as server:
        made = hook(RulerHook, server.url, extra={"timeout": 0.3})
        with pytest.raises(requests.ReadTimeout, match="took too long as a whole"):
            made.get_conn().get("/x")
    assert len(server.requests) < 10


def test_a_call_may_name_a_longer_time_and_a_stream_is_read_after_it() -> None:
    def slow(_: Received, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
        for _ in range(8):
            server.ended.wait(0.04)
            connection.sendall(b"x")

    with RawServer(slow) as server, hook(RulerHook, server.url, extra={"timeout": 0.2}).get_conn() as session:
        assert session.get("/x", timeout=(5, 5)).content == b"x" * 8
        assert b"".join(session.get("/x", stream=True).iter_content(4)) == b"x" * 8


def test_a_cookie_of_a_redirect_is_not_sent_on() -> None:
    redirect = reply(302, b"", {"Location": "/base/b", "Set-Cookie": "sid=abc; Path=/"})
    with (
        RawServer(says(redirect, reply(200))) as server,
        hook(RulerHook, server.url).get_conn() as session,
    ):
        session.get("/a", cookies={"mine": "1"})
        session.get("/c")
    assert [received.header("Cookie") for received in server.requests] == ["mine=1", None, None]


@pytest.mark.parametrize("place", ["http://127.0.0.1:1", "http://127.0.0.1:0", ""])
def test_a_signed_address_stands_in_no_error_and_in_no_log(
    place: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    signed = f"{place}/file?Signature=hush-8c1d"
    answers = [reply(302, b"", {"Location": signed}), b"HTTP/1.1 nonsense\r\n\r\n"]
    with (
        RawServer(says(*answers)) as server,
        hook(RulerHook, server.url).get_conn() as session,
        pytest.raises(requests.RequestException) as caught,
    ):
        session.get("/x")
    assert "hush" not in str(caught.value) + caplog.text


@pytest.mark.parametrize("url", ["http://[::1?sign=hush", "http://a:hush/", "http:///hush", "nope://hush"])
def test_an_address_that_is_none_is_not_quoted(url: str) -> None:
    made = hook(RulerHook, "http://127.0.0.1:1")
    with pytest.raises(requests.RequestException) as caught:
        made.get_conn().get(url)
    assert "hush" not in str(caught.value)
    with pytest.raises(TransportError) as told:
        made.run(url)
    assert "hush" not in str(told.value)


@pytest.mark.parametrize(("headers", "logins"), [({"Retry-After": "1800"}, 1), ({}, 2)])
def test_a_refusal_that_says_when_to_come_again_is_not_answered_at_once(
    headers: dict[str, str], logins: int
) -> None:
    tokens.slots.clear()

    def handle(received: Received, connection: socket.socket) -> None:
        token = json.dumps({"access_token": "token-77af-aa", "expires_in": 3600}).encode()
        is_login = received.target == "/login"
        connection.sendall(reply(200, token) if is_login else reply(401, b"", headers))

    with RawServer(handle) as server:
        made = hook(RulerHook, server.url, login="me", extra={"auth_url": f"{server.url}/login"})
        assert made.get_conn().get("/x").status_code == 401
    assert [received.target for received in server.requests] == ["/login", "/base/x"] * logins


def test_a_token_that_no_header_carries_is_an_error_of_ours() -> None:
    tokens.slots.clear()
    body = json.dumps({"access_token": "tök€n-9a8b-7c6d", "expires_in": 3600}).encode()
    with RawServer(says(reply(200, body))) as server:
        made = hook(RulerHook, server.url, login="me", extra={"auth_url": f"{server.url}/login"})
        with pytest.raises(TransportError, match=r"no usable reply \(UnicodeEncodeError\)"):
            made.run("/x")
        with pytest.raises(requests.RequestException, match="UnicodeEncodeError"):
            made.get_conn().get("/x")


@pytest.mark.parametrize("proxy", ["http://me:hush\\x@p:1", "http://é€:1", "http://p q:1", "http://[::1"])
def test_an_odd_proxy_of_a_call_is_not_quoted(proxy: str) -> None:
    with (
        hook(RulerHook, "http://127.0.0.1:1").get_conn() as session,
        pytest.raises(requests.RequestException) as caught,
    ):
        session.get("/x", proxies={"http": proxy})
    assert "hush" not in str(caught.value)


def test_a_redirect_to_a_name_whose_address_is_inside_the_network_is_not_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look_up = socket.getaddrinfo

    def lying(host: Any, *arguments: Any, **options: Any) -> Any:
        return look_up("127.0.0.1" if host == "files.example.com" else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lying)
    inside = RawServer(says(reply(200, b"ours")))
    with inside:
        place = f"http://files.example.com:{inside.port}/latest"
        # The vendor itself is outside: a proxy leads there.
        with RawServer(says(reply(302, b"", {"Location": place}))) as proxy:
            monkeypatch.setenv("http_proxy", proxy.url)
            monkeypatch.setenv("no_proxy", "files.example.com")
            made = hook(AftercareHook, "http://api.example.com", extra={"allow_http": True})
            with made.get_conn() as session:
                with pytest.raises(UnexpectedResponse, match="whose address is inside the network"):
                    session.get("/x")
                assert inside.requests == []
                # What a person names is another thing.
                assert session.get(place).text == "ours"
