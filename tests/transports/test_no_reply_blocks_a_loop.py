"""No reply takes an event loop for long, whatever its bytes: other waits go on meanwhile."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest

from airflow_provider_jobstatus.core.errors import VendorError
from airflow_provider_jobstatus.core.http import Flow, Request
from airflow_provider_jobstatus.core.json_outline import JsonOutline
from airflow_provider_jobstatus.core.responses import expect_json, expect_list
from airflow_provider_jobstatus.transports.aio import AioClient
from tests.support.raw_server import RawServer, reply, says
from tests.transports.driving import get

#: CPU seconds of the loop's own thread between two turns of another task: other processes do not count.
LONGEST = 0.1
MIB = 1024 * 1024


def filled(
    unit: bytes, size: int, head: bytes = b'{"status": "running", "x": [', tail: bytes = b"0]}"
) -> bytes:
    return head + unit * ((size - len(head) - len(tail)) // len(unit)) + tail


HOSTILE = {
    "arrays": filled(b"[],", 8 * MIB),
    "deep objects": filled(b'{"a":{"b":{}}},', 8 * MIB),
    "members": filled(b'{"a":1,"b":2},', 8 * MIB),
    "numbers": filled(b"1,", 8 * MIB),
    "fractions": filled(b"2.2250738585072011e-308,", 8 * MIB),
    "long numbers": filled(b"7" * 4299 + b",", 8 * MIB),
    "short texts": filled(b'"a\\n",', 8 * MIB),
    "texts without commas": filled(b'"a"', 8 * MIB),
    "brackets in texts": filled(b'"[{",', 8 * MIB),
    "one long text": filled(b"\\u0041", 8 * MIB, b'{"x": "', b'", "status": "running"}'),
    "open brackets": b"[" * (8 * MIB),
    "quotes": b'{"status": "running", "x": ' + b'"' * (8 * MIB),
    "backslashes": b'{"x": "' + b"\\" * (8 * MIB),
    "names": b'{"status": "running", %s}' % b", ".join(b'"%d": 0' % number for number in range(600_000)),
}


def whole(url: str) -> Flow[Any]:
    request: Request = get(url)
    return expect_json(request, (yield request))


def listed(url: str) -> Flow[Any]:
    request: Request = get(url)
    return expect_list(request, (yield request))


def in_outline(url: str) -> Flow[Any]:
    request: Request = get(url, outline=lambda: JsonOutline(["status"]))
    return expect_json(request, (yield request))


def longest_turn(ask: Callable[[str], Generator[Any, Any, Any]], url: str) -> float:
    """
    Drive a flow, and return the most CPU seconds that the loop's thread was busy with one turn of it.

    Processes that share the caches make each second do less: one of three tries is enough.
    """
    for _ in range(3):
        if (longest := asyncio.run(drive(ask(url)))) < LONGEST:
            break
    return longest


async def drive(flow: Generator[Any, Any, Any]) -> float:
    turns = [0.0]

    async def look() -> None:
        while True:
            began = time.thread_time()
            await asyncio.sleep(0)
            turns.append(time.thread_time() - began)

    async with AioClient() as client:
        looking = asyncio.create_task(look())
        try:
            await client.run(flow)
        except VendorError:
            pass
        finally:
            looking.cancel()
    return max(turns)


@pytest.mark.parametrize("ask", [whole, in_outline])
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_reply_takes_no_turn_for_long(ask: Any, compressed: bool, body: bytes) -> None:
    sent = gzip.compress(body, 1) if compressed else body
    with RawServer(
        says(reply(body=sent, headers={"Content-Encoding": "gzip"} if compressed else {}))
    ) as server:
        assert longest_turn(ask, server.url) < LONGEST


@pytest.mark.parametrize("ask", [whole, in_outline])
@pytest.mark.parametrize("name", ["arrays", "deep objects"])
def test_a_process_that_holds_many_objects_has_no_longer_turns(ask: Any, name: str) -> None:
    # Each collection of all garbage visits all of them: a triggerer of many waits is such a process.
    held: list[list[int]] = [[] for _ in range(3_000_000)]
    with RawServer(says(reply(body=HOSTILE[name]))) as server:
        assert longest_turn(ask, server.url) < LONGEST
    assert held


@pytest.mark.parametrize(
    "unit", [b"{},", b'{"jobId":"a","status":"b"},', b'["\\n"],', b'{ "" : 0 },', b"1.5,", b"3e-324,"]
)
def test_a_hostile_list_takes_no_turn_for_long(unit: bytes) -> None:
    for size in (2 * MIB, MIB, MIB // 2, MIB // 4, MIB // 8):
        with RawServer(says(reply(body=filled(unit, size, b"[", b"0]")))) as server:
            assert longest_turn(listed, server.url) < LONGEST
