"""The deadline of a blocking call, on bare sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from airflow_provider_jobstatus.transports.watchdog import Watchdog
from airflow_provider_jobstatus.transports.watched_connections import WATCHED_POOLS
from tests.support.raw_server import RawServer, reply, says

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.settimeout(5)
    with ours, theirs:
        yield ours, theirs


def test_a_read_that_waits_ends_when_the_time_is_up(pair: Pair) -> None:
    watchdog = Watchdog(0.05)
    watchdog.watch(pair[0])
    assert pair[0].recv(1) == b""
    assert watchdog.expired


def test_a_connection_that_comes_too_late_is_ended_at_once(pair: Pair) -> None:
    watchdog = Watchdog(0.0)
    first, other = socket.socketpair()
    with first, other:
        first.settimeout(5)
        watchdog.watch(first)
        assert first.recv(1) == b""
    watchdog.watch(pair[0])
    assert pair[0].recv(1) == b""


def test_a_connection_that_is_closed_already_does_no_harm(pair: Pair) -> None:
    watchdog = Watchdog(0.0)
    watchdog.watch(pair[0])
    assert pair[0].recv(1) == b""
    closed = socket.socket()
    closed.close()
    watchdog.watch(closed)
    assert watchdog.expired


def test_a_watchdog_that_was_stopped_ends_nothing(pair: Pair) -> None:
    stopped, other = Watchdog(0.05), Watchdog(0.1)
    stopped.watch(pair[0])
    stopped.stop()
    other.watch(pair[1])
    # Ended by the other one, which comes later.
    assert pair[0].recv(1) == b""
    assert (stopped.expired, other.expired) == (False, True)


def test_the_time_can_be_extended(pair: Pair) -> None:
    extended, other = Watchdog(0.05), Watchdog(0.15)
    extended.extend(60.0)
    extended.watch(pair[0])
    other.watch(pair[1])
    assert pair[0].recv(1) == b""
    assert (extended.expired, other.expired) == (False, True)
    extended.stop()


def test_a_pool_makes_connections_with_a_watchdog_and_none_without() -> None:
    watchdog = Watchdog(20.0)
    with (
        RawServer(says(reply(200, b"ok"))) as server,
        WATCHED_POOLS["http"]("127.0.0.1", server.port) as pool,
    ):
        with pytest.raises(RuntimeError, match="outside of a call"):
            pool.urlopen("GET", "/")
        with watchdog.guarding():
            assert pool.urlopen("GET", "/").data == b"ok"
    watchdog.stop()
    assert len(server.requests) == 1
    assert (watchdog.connecting, watchdog.expired) == (False, False)
