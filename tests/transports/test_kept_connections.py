"""Connections that are kept: used again, unless they hold unrequested bytes, or have died idle."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable

import pytest

from airflow_provider_jobstatus.core.errors import TransportError
from airflow_provider_jobstatus.core.http import Flow, Request
from airflow_provider_jobstatus.transports.aio import AioClient
from tests.support.raw_server import Handler, RawServer, Received, reply, reset, says
from tests.transports.conftest import Certificates
from tests.transports.driving import (
    PATIENT,
    TRANSPORTS,
    Drive,
    Failure,
    ask_expecting,
    attempt,
    get,
    with_aiohttp,
)

EVERYWHERE = pytest.mark.parametrize("drive", TRANSPORTS.values(), ids=TRANSPORTS)

#: What comes on a connection behind the reply that was asked for.
UNSOLICITED = {
    "a second reply": reply(200, b"not asked for"),
    "two more replies": reply(200, b"not asked for") * 2,
    "a reply without end": reply(200, b"not asked for", length=False),
    "a head without its body": b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n",
    "the beginning of a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "the beginning of a status": b"HT",
    "a reply without body": reply(204),
    "the end of an idle connection, in words": reply(408),
    "an interim reply": b"HTTP/1.1 100 Continue\r\n\r\n",
}


class Extra:
    """
    Answers with the path that was asked for, the first time with something more behind.

    :param more: what that is.
    :param how: it comes.
    """

    def __init__(self, more: bytes, how: str) -> None:
        self.answered = threading.Event()
        self.sent = threading.Event()
        self._more = more
        self._how = how

    def __call__(self, received: Received, connection: socket.socket) -> None:
        answer = reply(200, received.target.encode())
        if self.sent.is_set():
            connection.sendall(answer)
            return
        if self._how == "later":
            connection.sendall(answer)
            assert self.answered.wait(5)
            connection.sendall(self._more)
        else:
            head = len(answer) - 1 if self._how == "with the body" else 0
            connection.sendall(answer[:head])
            connection.sendall(answer[head:] + self._more)
        self.sent.set()


def three(url: str, extra: Extra, other: str | None) -> Flow[list[bytes]]:
    """Ask three times; between the first two for something else, if told: an event loop has its turns."""
    first = yield get(f"{url}/1")
    extra.answered.set()
    assert extra.sent.wait(5)
    if other is not None:
        yield get(other)
    second = yield get(f"{url}/2")
    third = yield get(f"{url}/3")
    return [first.body, second.body, third.body]


@EVERYWHERE
@pytest.mark.parametrize("read", [True, False], ids=["read", "unread"])
@pytest.mark.parametrize("how", ["later", "with the body", "in one piece"])
@pytest.mark.parametrize("more", UNSOLICITED)
def test_what_was_not_asked_for_is_never_the_next_answer(
    drive: Drive, more: str, how: str, read: bool
) -> None:
    extra = Extra(UNSOLICITED[more], how)
    with RawServer(extra) as server, RawServer(says(reply(200))) as other:
        bodies = drive(three(server.url, extra, other.url if read else None))
        assert bodies == [b"/1", b"/2", b"/3"]
        # What comes with a reply is taken off the connection by http.client.
        if how == "later" or drive is with_aiohttp:
            assert server.connections == 2


@EVERYWHERE
@pytest.mark.parametrize("how", ["later", "in one piece"])
def test_the_same_holds_over_tls(drive: Drive, certificates: Certificates, how: str) -> None:
    extra = Extra(UNSOLICITED["a second reply"], how)
    with RawServer(extra, certificates.right) as server, RawServer(says(reply(200))) as other:
        flow = three(server.url, extra, other.url)
        assert drive(flow, ca=certificates.authority) == [b"/1", b"/2", b"/3"]
        if how == "later" or drive is with_aiohttp:
            assert server.connections == 2


def many(url: str, count: int) -> Flow[list[bytes]]:
    bodies = []
    for number in range(count):
        response = yield get(f"{url}/{number}")
        bodies.append(response.body)
    return bodies


def echo(received: Received, connection: socket.socket) -> None:
    connection.sendall(reply(200, received.target.encode()))


CALM: dict[str, Handler] = {
    "a length": echo,
    "no body": says(reply(204)),
    "chunks": says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    "an interim reply": says(b"HTTP/1.1 103 Early Hints\r\n\r\n" + reply(200, b"ok")),
    "a large body": says(reply(200, b"x" * 1_500_000)),
}


@EVERYWHERE
@pytest.mark.parametrize("kind", CALM)
def test_any_other_connection_is_used_again_and_again(drive: Drive, kind: str) -> None:
    with RawServer(CALM[kind]) as server:
        drive(many(server.url, 20))
        assert server.connections == 1


@EVERYWHERE
@pytest.mark.parametrize("newest", ["TLSv1_2", "TLSv1_3"])
def test_a_tls_connection_is_used_again_and_again(
    drive: Drive, certificates: Certificates, newest: str
) -> None:
    with RawServer(echo, certificates.speaking[newest]) as server:
        drive(many(server.url, 20), ca=certificates.authority)
        assert server.connections == 1


class Dying:
    """Resets each connection at its second request, as what lies between does with one that was idle."""

    def __init__(self, end: Callable[[socket.socket], None] = reset) -> None:
        self._end = end
        self._used: set[int] = set()
        # A connection of that number is kept from being another's.
        self._kept: list[socket.socket] = []

    def __call__(self, received: Received, connection: socket.socket) -> None:
        if id(connection) in self._used:
            self._end(connection)
            return
        self._used.add(id(connection))
        self._kept.append(connection)
        connection.sendall(reply(200, received.target.encode()))


def close(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def cut(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/pl")
    close(connection)


ENDS = {"a reset": reset, "a close": close, "a close within the head": cut}


def twice(url: str, method: str, body: bytes | None = None) -> Flow[bytes]:
    yield get(f"{url}/1")
    answer: bytes = (yield Request("vendor", method, f"{url}/2", body=body)).body
    return answer


@EVERYWHERE
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_repeatable_request_is_repeated_at_once_on_a_fresh_connection(
    drive: Drive, method: str, end: str
) -> None:
    with RawServer(Dying(ENDS[end])) as server:
        assert drive(twice(server.url, method)) == b"/2"
        assert [request.target for request in server.requests] == ["/1", "/2", "/2"]
        assert server.connections == 2


@EVERYWHERE
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_request_that_is_not_repeatable_is_sent_once(drive: Drive, method: str) -> None:
    with RawServer(Dying()) as server:
        assert attempt(drive, twice(server.url, method, b"x")) == Failure(TransportError)
        assert [request.target for request in server.requests] == ["/1", "/2"]


@EVERYWHERE
def test_there_is_one_more_try_and_no_third(drive: Drive) -> None:
    with RawServer(lambda _, connection: reset(connection)) as server:
        assert attempt(drive, many(server.url, 1)) == Failure(TransportError)
        assert len(server.requests) == server.connections == 2


@EVERYWHERE
@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"]
)
def test_an_answer_that_is_broken_is_not_asked_for_again(drive: Drive, answer: bytes) -> None:
    with RawServer(says(answer, close=True)) as server:
        assert attempt(drive, many(server.url, 1)) == Failure(TransportError)
        assert len(server.requests) == 1


def test_the_second_try_is_not_on_another_connection_that_has_died_idle() -> None:
    """A triggerer keeps many connections to a vendor, and they die together."""
    together = threading.Barrier(4)
    dying = Dying()

    def handle(received: Received, connection: socket.socket) -> None:
        if received.target == "/together":
            together.wait(5)
        dying(received, connection)

    async def main(url: str) -> list[bytes]:
        async with AioClient(PATIENT) as client:
            await asyncio.gather(*(client.run(ask_expecting(f"{url}/together")) for _ in range(4)))
            return [await client.run(ask_expecting(f"{url}/{number}")) for number in range(2)]

    with RawServer(handle) as server:
        assert asyncio.run(main(server.url)) == [b"/0", b"/1"]
