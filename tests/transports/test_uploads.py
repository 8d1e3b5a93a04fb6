"""Request bodies that are streamed, on the worker."""

from __future__ import annotations

import socket
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_jobstatus.core.auth import ExchangedToken
from airflow_provider_jobstatus.core.errors import SendError, SettingsError, TransportError, VendorError
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.operation import Credentials, Operation, conversation
from airflow_provider_jobstatus.core.tokens import Token, TokenSlot
from airflow_provider_jobstatus.transports import pace
from airflow_provider_jobstatus.transports.blocking import BlockingClient
from airflow_provider_jobstatus.transports.environment import CallLimits
from tests.support.raw_server import Handler, RawServer, Received, reply, reset, says
from tests.transports.conftest import Certificates
from tests.transports.driving import PATIENT, Failure, attempt, send, with_aiohttp, with_requests

PIECE = bytes(range(256)) * 1024


@dataclass
class Pieces:
    """A body of one piece again and again; more than any buffer on the way holds, by default."""

    pieces: int = 128
    announced: int | None = None
    fault: BaseException | None = None
    opened: int = 0

    @property
    def length(self) -> int:
        return self.pieces * len(PIECE) if self.announced is None else self.announced

    def chunks(self) -> Iterator[bytes]:
        self.opened += 1
        for _ in range(self.pieces):
            yield PIECE
        if self.fault is not None:
            raise self.fault


def upload(url: str, body: Any, method: str = "POST") -> Flow[Response]:
    return send(Request("vendor", method, f"{url}/upload?token=hidden", {"X-A": "b"}, body))


@pytest.mark.parametrize("pieces", [1, 16])
def test_a_body_arrives_whole_with_its_length(pieces: int) -> None:
    with RawServer(says(reply(202, b"taken"))) as server:
        response = with_requests(upload(server.url, Pieces(pieces)))
    assert (response.status, response.body) == (202, b"taken")
    (received,) = server.requests
    assert received.header("Content-Length") == str(pieces * len(PIECE))
    assert received.header("Transfer-Encoding") is None
    assert received.header("X-A") == "b"
    assert received.body == PIECE * pieces


def test_memory_does_not_grow_with_the_body() -> None:
    def swallow(received: Received, connection: socket.socket) -> None:
        left, buffer = Pieces().length - len(received.body), bytearray(65536)
        while left > 0 and (size := connection.recv_into(buffer)):
            left -= size
        connection.sendall(reply(202))

    with RawServer(swallow, early=True) as server:
        tracemalloc.start()
        assert with_requests(upload(server.url, Pieces())).status == 202
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < 4 * 1024 * 1024


REFUSAL = reply(413, b"too large")


def then_stops_reading(_: Received, connection: socket.socket) -> None:
    connection.sendall(REFUSAL)


def then_closes(_: Received, connection: socket.socket) -> None:
    connection.sendall(REFUSAL)
    connection.close()


def after_an_interim_reply(_: Received, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    connection.recv(4 * len(PIECE), socket.MSG_WAITALL)
    connection.sendall(b"HTTP/1.1 102 P\r\n\r\n" + REFUSAL)


def in_tiny_pieces(_: Received, connection: socket.socket) -> None:
    for at in range(len(REFUSAL)):
        connection.sendall(REFUSAL[at : at + 1])


@pytest.mark.parametrize("handler", [then_stops_reading, then_closes, after_an_interim_reply, in_tiny_pieces])
def test_an_early_reply_is_read_and_the_next_request_is_not_taken_for_the_rest(handler: Handler) -> None:
    with RawServer(handler, early=True) as server, BlockingClient(PATIENT) as client:
        for _ in range(2):
            response = client.run(upload(server.url, Pieces()))
            assert (response.status, response.body) == (413, b"too large")
    assert server.connections == 2
    assert [received.method for received in server.requests] == ["POST", "POST"]


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_an_early_reply_is_told_from_what_else_tls_sends(version: str, certificates: Certificates) -> None:
    tls = certificates.speaking[version]

    def drive(handler: Handler, early: bool, pieces: int) -> tuple[int, bytes]:
        with RawServer(handler, tls, early=early) as server:
            response = with_requests(upload(server.url, Pieces(pieces)), ca=certificates.authority)
            return response.status, response.body

    assert drive(then_stops_reading, True, 128) == (413, b"too large")
    assert drive(says(reply(202, b"taken")), False, 32) == (202, b"taken")


def test_an_early_success_is_none() -> None:
    with (
        RawServer(says(reply(202, b"taken")), early=True) as server,
        pytest.raises(TransportError, match="before it had the whole request") as caught,
    ):
        with_requests(upload(server.url, Pieces()))
    assert type(caught.value) is TransportError
    assert "hidden" not in str(caught.value)


def resetting(_: Received, connection: socket.socket) -> None:
    reset(connection)


#: Bodies whose fault is their own.
FAULTY: dict[str, tuple[Callable[[], Pieces], type[Exception]]] = {
    "a file that cannot be read": (lambda: Pieces(4, 2**24, OSError(5, "Input/output error")), SendError),
    "a source whose connection ends": (
        lambda: Pieces(4, 2**24, BrokenPipeError(32, "Broken pipe")),
        SendError,
    ),
    "a body that is too short": (lambda: Pieces(4, 2**24), SendError),
    "a body that is too long": (lambda: Pieces(4, 2**19 + 1), SendError),
    "a file that has changed": (lambda: Pieces(4, 2**24, SettingsError("changed")), SettingsError),
}


@pytest.mark.parametrize(("body", "kind"), FAULTY.values(), ids=FAULTY)
def test_a_fault_of_the_body_breaks_the_request_off(
    body: Callable[[], Pieces], kind: type[Exception]
) -> None:
    with RawServer(says(reply(202))) as server:
        with pytest.raises(kind) as caught:
            with_requests(upload(server.url, body()))
        assert type(caught.value) is kind
        assert "hidden" not in str(caught.value)
    # It never had the whole.
    assert server.requests == []


@pytest.mark.parametrize("pieces", [4, 128])
def test_a_connection_that_ends_leaves_it_unknown_whether_the_body_arrived(pieces: int) -> None:
    with RawServer(resetting, early=True) as server:
        assert attempt(with_requests, upload(server.url, Pieces(pieces))) == Failure(TransportError)
        # A POST is sent once.
        assert len(server.requests) == 1


def test_without_a_server_nothing_was_sent() -> None:
    with RawServer(says(reply(202))) as server:
        url = server.url
    body = Pieces()
    assert attempt(with_requests, upload(url, body)) == Failure(SendError)


def test_a_method_that_may_be_repeated_begins_its_body_anew() -> None:
    body = Pieces(4)

    def once(received: Received, connection: socket.socket) -> None:
        if len(server.requests) == 1:
            reset(connection)
        else:
            connection.sendall(reply(200, str(len(received.body)).encode()))

    with RawServer(once) as server:
        assert with_requests(upload(server.url, body, "PUT")).body == str(4 * len(PIECE)).encode()
    assert body.opened == 2


@pytest.mark.parametrize("early", [False, True])
def test_a_renewed_token_begins_the_body_anew_and_has_its_own_time(early: bool) -> None:
    """With an early reply, the first upload takes longer than a whole operation may."""
    body, tokens = Pieces(128 if early else 4), iter(["old", "new"])

    def log_in() -> Flow[Token]:
        yield Request("vendor", "GET", f"{server.url}/login")
        return Token(next(tokens), 3600.0)

    def handle(received: Received, connection: socket.socket) -> None:
        if received.target == "/login":
            connection.sendall(reply(200, headers={"Connection": "close"}))
        elif received.header("Authorization") == "Bearer old":
            server.ended.wait(2.1 if early else 0)
            connection.sendall(reply(401, b"expired"))
        else:
            left = body.length - len(received.body)
            while left > 0 and (data := connection.recv(left)):
                left -= len(data)
            connection.sendall(reply(202))

    limits = CallLimits(total=1.0, connect=1.0, read=5.0)
    with RawServer(handle, early=early) as server, BlockingClient(limits) as client:
        auth = ExchangedToken(TokenSlot(), log_in, ())
        operation = Operation(lambda: upload(server.url, body), repeatable=False)
        result = client.run(conversation(operation, Credentials(auth, server.url)))
    assert (result.status, body.opened) == (202, 2)


def test_a_body_that_gets_on_may_take_longer_than_a_call() -> None:
    def slow(received: Received, connection: socket.socket) -> None:
        left = Pieces().length - len(received.body)
        for _ in range(6):
            server.ended.wait(0.1)
            left -= len(connection.recv(len(PIECE), socket.MSG_WAITALL))
        while left > 0:
            left -= len(connection.recv(left))
        connection.sendall(reply(202))

    with RawServer(slow, early=True) as server:
        limits = CallLimits(total=0.5, connect=0.5, read=0.5)
        assert with_requests(upload(server.url, Pieces()), limits=limits).status == 202


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        (CallLimits(20.0, 5.0, 0.2), 20.0),
        (CallLimits(0.6, 5.0, 20.0), 0.2),
        (CallLimits(0.3, 5.0, 20.0), 20.0),
    ],
    ids=["nothing for too long", "too slow", "no reply"],
)
def test_a_server_that_takes_nothing_or_says_nothing_ends_the_call(
    monkeypatch: pytest.MonkeyPatch, limits: CallLimits, seconds: float
) -> None:
    monkeypatch.setattr(pace, "SECONDS_PER_CHUNK", seconds)
    pieces = 1 if limits.total == 0.3 else 128

    def wait(_: Received, __: socket.socket) -> None:
        server.ended.wait(10)

    with RawServer(wait, early=pieces > 1) as server:
        failure = attempt(with_requests, upload(server.url, Pieces(pieces)), limits=limits)
        assert failure == Failure(TransportError)


def test_a_triggerer_streams_nothing() -> None:
    with RawServer(says(reply(202))) as server, suppress(VendorError):
        with pytest.raises(TypeError, match="sent on a worker"):
            with_aiohttp(upload(server.url, Pieces()))
        assert server.connections == 0
