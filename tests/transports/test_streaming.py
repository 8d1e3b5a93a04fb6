"""Replies that are read as they come, on the worker."""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from airflow_provider_jobstatus.core.body import MAX_BODY_BYTES
from airflow_provider_jobstatus.core.errors import NotFound, TransportError
from airflow_provider_jobstatus.core.http import Flow, Response
from airflow_provider_jobstatus.core.responses import expect
from airflow_provider_jobstatus.transports import pace
from airflow_provider_jobstatus.transports.blocking import BlockingClient
from airflow_provider_jobstatus.transports.environment import CallLimits
from tests.support.raw_server import Handler, RawServer, Received, reply, reset, says
from tests.transports.driving import PATIENT, get

LARGE = bytes(range(256)) * 4 * 8192 + b"the end"
assert len(LARGE) > MAX_BODY_BYTES


def stream(url: str) -> Flow[Response]:
    request = get(url)
    return expect(request, (yield request))


def as_it_is(url: str) -> Flow[Response]:
    response: Response = yield get(url)
    return response


@contextmanager
def streamed(
    handler: Handler, flow: Callable[[str], Flow[Response]] = stream, limits: CallLimits = PATIENT
) -> Iterator[Response]:
    """Open what a handler answers."""
    with (
        RawServer(handler) as server,
        BlockingClient(limits) as client,
        client.open(flow(f"{server.url}/file?token=hidden")) as response,
    ):
        yield response


def body_of(response: Response) -> bytes:
    assert response.chunks is not None
    return b"".join(response.chunks)


@pytest.mark.parametrize(
    ("headers", "coded"),
    [
        ({}, LARGE),
        ({"Content-Encoding": "gzip"}, gzip.compress(LARGE, 1)),
        ({"Content-Encoding": "deflate"}, zlib.compress(LARGE, 1)),
        ({"Content-Encoding": "deflate"}, zlib.compress(LARGE, 1)[2:-4]),
        (
            {"Content-Encoding": "gzip"},
            gzip.compress(LARGE[:-70_001], 1) + gzip.compress(LARGE[-70_001:], 1),
        ),
        ({"Content-Encoding": "gzip,aws-chunked"}, gzip.compress(LARGE, 1) + bytes(512)),
        ({"Content-Encoding": "aws-chunked"}, LARGE),
        ({"Content-Encoding": "utf-8"}, LARGE),
    ],
)
def test_a_body_larger_than_any_limit_comes_in_pieces(headers: dict[str, str], coded: bytes) -> None:
    with streamed(says(reply(200, coded, headers))) as response:
        assert response.body == b""
        assert response.chunks is not None
        pieces = list(response.chunks)
    assert b"".join(pieces) == LARGE
    assert max(map(len, pieces)) <= 1024 * 1024


def test_a_streamed_reply_is_the_last_of_its_operation() -> None:
    def two_steps(url: str) -> Flow[Response]:
        yield get(url)
        response: Response = yield get(url)
        return response

    with (
        pytest.raises(RuntimeError, match="is the last of its operation"),
        streamed(says(reply(200, LARGE)), two_steps),
    ):
        pass


@pytest.mark.parametrize("status", [302, 404, 500])
def test_the_body_of_another_status_is_read_whole(status: int) -> None:
    with streamed(says(reply(status, b"why")), as_it_is) as response:
        assert (response.status, response.body, response.chunks) == (status, b"why", None)


def test_an_error_says_what_the_vendor_said() -> None:
    with pytest.raises(NotFound, match="no such report"), streamed(says(reply(404, b"no such report"))):
        pass


def test_leaving_early_closes_the_connection_and_leaves_the_client_usable() -> None:
    gone = threading.Event()

    def endless(received: Received, connection: socket.socket) -> None:
        if received.target == "/small":
            connection.sendall(reply(200, b"ok"))
            return
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                connection.sendall(b"x" * 65536)
        except OSError:
            gone.set()
            raise

    with RawServer(endless) as server, BlockingClient(PATIENT) as client:
        with client.open(stream(server.url)) as response:
            assert response.chunks is not None
            assert next(response.chunks).strip(b"x") == b""
        assert gone.wait(5)
        with client.open(stream(f"{server.url}/small")) as response:
            assert body_of(response) == b"ok"


def fail_over(response: Response) -> None:
    assert response.chunks is not None
    next(response.chunks)
    raise ZeroDivisionError


def test_an_error_of_the_reader_closes_the_connection_and_is_not_changed() -> None:
    with RawServer(says(reply(200, LARGE))) as server, BlockingClient(PATIENT) as client:
        with pytest.raises(ZeroDivisionError), client.open(stream(server.url)) as response:
            fail_over(response)
        with client.open(stream(server.url)) as again:
            assert again.status == 200
        assert server.connections == 2


def test_a_reply_that_nobody_reads_is_closed() -> None:
    with RawServer(says(reply(200, LARGE))) as server, BlockingClient(PATIENT) as client:
        for _ in range(2):
            with client.open(stream(server.url)):
                pass
        assert server.connections == 2


def begin(*lines: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", b""])


@pytest.mark.parametrize("ends_with_reset", [False, True])
@pytest.mark.parametrize(
    "answer",
    [
        begin(b"Content-Length: 10") + b"12345",
        begin(b"Transfer-Encoding: chunked") + b"5\r\n12345\r\n",
        begin(b"Content-Encoding: gzip") + gzip.compress(b"12345")[:-1],
        begin(b"Content-Encoding: gzip"),
        begin(b"Content-Encoding: br") + b"12345",
    ],
)
def test_a_break_in_the_middle_is_an_error(answer: bytes, ends_with_reset: bool) -> None:
    def handle(_: Received, connection: socket.socket) -> None:
        connection.sendall(answer)
        if ends_with_reset:
            reset(connection)
        else:
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    with pytest.raises(TransportError) as caught, streamed(handle) as response:
        body_of(response)
    assert (caught.value.method, caught.value.path) == ("GET", "/file")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("cut", range(0, 40, 3))
def test_a_compressed_body_cut_anywhere_is_an_error(cut: int) -> None:
    coded = gzip.compress(b"a,b\r\n1,2\r\n")
    answer = begin(b"Content-Encoding: gzip") + coded[: min(cut, len(coded) - 1)]
    with streamed(says(answer, close=True)) as response, pytest.raises(TransportError):
        body_of(response)


def test_a_wrong_length_is_an_error_before_anything_is_read() -> None:
    handler = says(begin(b"Content-Length: -5") + b"12345")
    with pytest.raises(TransportError, match="Content-Length"), streamed(handler):
        pass


def test_a_body_that_goes_on_may_take_longer_than_a_call() -> None:
    limits = CallLimits(total=1.0, connect=5.0, read=5.0)
    more = threading.Event()

    def slow(_: Received, connection: socket.socket) -> None:
        connection.sendall(begin(b"Content-Length: 10") + b"12345")
        assert more.wait(5)
        server.ended.wait(1.1)
        connection.sendall(b"67890")

    with (
        RawServer(slow) as server,
        BlockingClient(limits) as client,
        client.open(stream(server.url)) as response,
    ):
        more.set()
        assert body_of(response) == b"1234567890"


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"Content-Length: 99999", b"x"),
        (b"X-No-Length: 1", b"x"),
        (b"Transfer-Encoding: chunked", b"1\r\nx\r\n"),
        (b"Transfer-Encoding: chunked", b"2;why=not\r\nxy\r\n"),
        (b"Transfer-Encoding: chunked\r\nContent-Encoding: gzip", b"1\r\n%b\r\n"),
    ],
)
def test_a_drip_ends_when_a_piece_takes_too_long(
    monkeypatch: pytest.MonkeyPatch, head: bytes, piece: bytes
) -> None:
    monkeypatch.setattr(pace, "SECONDS_PER_CHUNK", 0.2)
    packed = iter(gzip.compress(bytes(range(256))))

    def drip(_: Received, connection: socket.socket) -> None:
        connection.sendall(begin(head))
        while not server.ended.wait(0.03):
            connection.sendall(piece.replace(b"%b", bytes([next(packed)])))

    limits = CallLimits(total=0.6, connect=5.0, read=5.0)
    with (
        RawServer(drip) as server,
        BlockingClient(limits) as client,
        client.open(stream(server.url)) as response,
        pytest.raises(TransportError, match="too long as a whole"),
    ):
        body_of(response)


def test_small_chunks_that_come_fast_enough_are_given_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "SECONDS_PER_CHUNK", 0.5)
    monkeypatch.setattr(pace, "CHUNK_BYTES", 10)

    def steady(_: Received, connection: socket.socket) -> None:
        connection.sendall(begin(b"Transfer-Encoding: chunked"))
        for _ in range(12):
            server.ended.wait(0.05)
            connection.sendall(b"5\r\nabcde\r\n")
        connection.sendall(b"0\r\n\r\n")

    with (
        RawServer(steady) as server,
        BlockingClient(CallLimits(total=5.0, connect=5.0, read=5.0)) as client,
        client.open(stream(server.url)) as response,
    ):
        assert body_of(response) == b"abcde" * 12


def test_a_silent_body_ends_after_the_read_timeout() -> None:
    limits = CallLimits(total=20.0, connect=5.0, read=0.2)
    handler = says(begin(b"Content-Length: 10") + b"12345")
    with streamed(handler, limits=limits) as response, pytest.raises(TransportError):
        body_of(response)
