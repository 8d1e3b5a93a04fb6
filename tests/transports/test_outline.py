"""Only the outline of a reply is read: the same over both transports, and in flat memory however large."""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_jobstatus.core.body import MAX_BODY_BYTES, SMALL_BYTES
from airflow_provider_jobstatus.core.errors import TransportError
from airflow_provider_jobstatus.core.http import Flow, Response
from airflow_provider_jobstatus.core.json_outline import AGREED_BYTES, JsonOutline
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.support.raw_server import Handler, RawServer, Received, reply, says
from tests.transports.driving import TRANSPORTS, Drive, Failure, attempt, get

BOTH = pytest.mark.parametrize("drive", TRANSPORTS.values(), ids=TRANSPORTS)
NO_REPLY = Failure(TransportError)
ROOT = Path(__file__).parent.parent.parent


#: What is small is read whole; this is not.
MUCH = (
    b'"results": {"status": "inner", "codes": ["} \\" {", [], {"id": 8}], "x": "' + b"x" * SMALL_BYTES + b'"}'
)
FIRST = b'{"status": "done", "id": 7, ' + MUCH + b"}"
MIDDLE = b'{"id": 7, ' + MUCH + b', "status": "done", "more": [1, 2]}'
LAST = b'{"id": 7, ' + MUCH + b', "status": "done"}'
RUNNING = b'{"status": "running", ' + MUCH + b', "id": 7}'
SMALL = b'{"status": "done", "id": 7, "results": {"status": "inner"}}'
LARGE = b'{"results": "' + b"x" * (AGREED_BYTES + 1) + b'", "id": 7, "status": "done"}'
AND_MORE = b'{"id": 7, "status": "done", "results": [' + b'"x", ' * (AGREED_BYTES // 4)
NAMED = (200, {"id": 7, "status": "done", "": None})
ERROR = json.dumps({"status": "done", "id": 7, "message": "no " * 2000}).encode()
SPACE = b" " * SMALL_BYTES


def make_outline() -> JsonOutline:
    return JsonOutline(keep=("id", "status"), enough=lambda kept: kept.get("status") == "done")


def ask(url: str) -> Flow[tuple[int, Any]]:
    """Return status and body of a reply of which the outline is enough, parsed if it is JSON."""
    response: Response = yield get(url, outline=make_outline)
    try:
        return response.status, json.loads(response.body)
    except ValueError:
        return response.status, response.body


def chunked(*pieces: bytes, end: bool = True) -> bytes:
    lines = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces] + ([b"0\r\n\r\n"] if end else [])
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(lines)


def coded(coding: str, body: bytes) -> bytes:
    return reply(body=body, headers={"Content-Encoding": coding})


def closing(answer: bytes) -> Handler:
    return says(answer, close=True)


def short(body: bytes, missing: int = 1) -> Handler:
    """Promise more than comes."""
    return closing(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) + missing) + body)


BODIES: dict[str, tuple[Handler, Any]] = {
    "status first": (says(reply(body=FIRST)), NAMED),
    "status last": (says(reply(body=LAST)), NAMED),
    "not done": (says(reply(body=RUNNING)), (200, NAMED[1] | {"status": "running"})),
    "201": (says(reply(201, LAST)), (201, NAMED[1])),
    "gzip, status first": (says(coded("gzip", gzip.compress(FIRST))), NAMED),
    "chunks": (says(chunked(LAST[:9], LAST[9:30], LAST[30:])), NAMED),
    "larger than a reply may be": (says(reply(body=LARGE)), NAMED),
    "larger, in chunks": (says(chunked(LARGE)), NAMED),
    "larger, compressed to little": (says(coded("gzip", gzip.compress(LARGE))), NAMED),
    "small": (says(reply(body=SMALL)), (200, json.loads(SMALL))),
    "small, in chunks": (says(chunked(*(bytes([byte]) for byte in SMALL))), (200, json.loads(SMALL))),
    "cut short, and done": (short(FIRST), NO_REPLY),
    "small, cut short, and done": (short(SMALL), NO_REPLY),
    "chunks without an end, and done": (closing(chunked(FIRST, end=False)), NO_REPLY),
    "cut short, and enough before": (short(AND_MORE), NAMED),
    "chunks without an end, and enough before": (closing(chunked(AND_MORE, end=False)), NAMED),
    "gzip cut short": (says(coded("gzip", gzip.compress(RUNNING)[:-9])), NO_REPLY),
    "an unknown coding": (says(coded("br", LAST)), NO_REPLY),
    "ended by the connection in the middle": (closing(reply(body=RUNNING[:-1], length=False)), NO_REPLY),
    "ended by the connection at the end": (closing(reply(body=LAST, length=False)), NAMED),
    "nothing": (says(reply()), (200, b"")),
    "204": (says(reply(204)), (204, b"")),
    "302 with a body": (says(reply(302, ERROR, {"Location": "/x"})), (302, json.loads(ERROR))),
    "400": (says(reply(400, ERROR)), (400, json.loads(ERROR))),
    "404 with a page of HTML": (says(reply(404, b"<html>")), (404, b"<html>")),
    "503, compressed": (
        says(reply(503, gzip.compress(ERROR), {"Content-Encoding": "gzip"})),
        (503, json.loads(ERROR)),
    ),
    "an error that is too large": (says(reply(500, b"x" * (MAX_BODY_BYTES + 1))), NO_REPLY),
    "an error cut short": (
        closing(b"HTTP/1.1 500 No\r\nContent-Length: 99\r\n\r\n" + FIRST[:20]),
        NO_REPLY,
    ),
}


@BOTH
@pytest.mark.parametrize(("handler", "expected"), BODIES.values(), ids=BODIES)
def test_the_outline_of_a_reply_is_its_body(drive: Drive, handler: Handler, expected: Any) -> None:
    with RawServer(handler) as server:
        assert attempt(drive, ask(server.url)) == expected


@BOTH
@pytest.mark.parametrize("coding", ["", "gzip"])
def test_the_connection_is_closed_when_enough_was_read(drive: Drive, coding: str) -> None:
    sent = 0
    hung_up: list[bool] = []

    def endless(_: Received, connection: socket.socket) -> None:
        nonlocal sent
        squeeze = zlib.compressobj(0, wbits=31)

        def send(data: bytes) -> int:
            if coding:
                data = squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH)
            connection.sendall(data)
            return len(data)

        head = "HTTP/1.1 200 OK\r\nContent-Length: 900000000\r\nContent-Encoding: "
        connection.sendall(head.encode() + coding.encode() + b"\r\n\r\n")
        send(AND_MORE[:-10] + b'"y", "')
        try:
            while sent < 100_000_000:
                sent += send(b" " * 65536)
        except OSError:
            hung_up.append(True)
            raise
        hung_up.append(False)

    def twice(url: str) -> Flow[list[tuple[int, Any]]]:
        # The session goes on with another connection.
        return [(yield from ask(url)), (yield from ask(url))]

    with RawServer(endless) as server:
        assert drive(twice(server.url)) == [NAMED] * 2
        assert (len(server.requests), server.connections) == (2, 2)
    assert hung_up == [True, True]
    assert sent < 2 * (AGREED_BYTES + 20_000_000)


@BOTH
def test_the_connection_is_kept_if_the_outline_was_read_to_the_end(drive: Drive) -> None:
    def twice(url: str) -> Flow[list[tuple[int, Any]]]:
        return [(yield from ask(url)), (yield from ask(url))]

    with RawServer(says(reply(body=RUNNING))) as server:
        assert drive(twice(server.url)) == [(200, NAMED[1] | {"status": "running"})] * 2
        assert (len(server.requests), server.connections) == (2, 1)


# Memory

MIB = 1024 * 1024
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="the high-water mark of memory is Linux's"
)


def measure(sandbox: Sandbox, how: str, position: str, results_bytes: int) -> dict[str, Any]:
    """Wait for a finished job with large results in a process of its own."""
    done: dict[str, Any] = {"queued_seconds": 0, "processing_seconds": 0, "status_position": position}
    sandbox.put_job("aftercare", "small", **done)
    sandbox.put_job("aftercare", "large", results_bytes=results_bytes, **done)
    connection = sandbox.connection("aftercare") | {"extra": {"timeout": 300}}
    child = subprocess.run(
        [sys.executable, "-m", "tests.transports.measured_wait", how, "small", "large"],
        env=os.environ | {"AIRFLOW_CONN_AFTERCARE_DEFAULT": json.dumps(connection)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    (line,) = [line for line in child.stdout.splitlines() if line.startswith("RESULT ")]
    result: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    sys.stdout.write(
        f"\n{how}, status {position}, {results_bytes / 1e6:.0f} MB of results: "
        f"{result['growth_bytes'] / MIB:+.1f} MiB, {result['seconds']:.1f} s\n"
    )
    assert [job["polls"] for job in sandbox.jobs() if job["id"] == "large"] == [1]
    return result


@needs_proc
@pytest.mark.parametrize(
    ("how", "position"),
    [("trigger", "first"), ("trigger", "last"), ("worker", "last")],
)
def test_a_finished_aftercare_job_with_200_mb_of_results_ends_a_wait_in_flat_memory(
    how: str, position: str, sandbox: Sandbox
) -> None:
    result = measure(sandbox, how, position, 200_000_000)
    assert result["state"] == "succeeded"
    assert result["growth_bytes"] < 16 * MIB


@needs_proc
def test_the_measurement_sees_a_reply_that_is_held(sandbox: Sandbox) -> None:
    assert measure(sandbox, "careless", "last", 40_000_000)["growth_bytes"] > 32 * MIB
