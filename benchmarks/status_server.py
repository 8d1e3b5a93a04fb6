"""
A local status server for the benchmarks, as a process of its own: cheap enough never to be what is measured.

    python -m benchmarks.status_server [--tls FOLDER] [--core N]

Listens on a free port of 127.0.0.1, prints one line of JSON with its ``url`` and, over TLS, the file of its
authority as ``ca``; ends when its standard input ends. Jobs are ordered by ``POST /control/jobs``, counts are
read by ``GET /control/stats`` and forgotten by ``POST /control/reset``, see :mod:`benchmarks.service`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.status_jobs import Jobs, reply

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """One connection: takes requests out of the stream, and answers each after the time to think."""

    __slots__ = ("_buffer", "_jobs", "_loop", "_transport")

    def __init__(self, jobs: Jobs, loop: asyncio.AbstractEventLoop) -> None:
        self._jobs = jobs
        self._loop = loop
        self._buffer = b""

    def connection_made(self, transport: Any) -> None:
        """Count it."""
        self._transport: asyncio.Transport = transport
        jobs = self._jobs
        jobs.connections += 1
        jobs.open += 1
        jobs.peak = max(jobs.peak, jobs.open)

    def connection_lost(self, _: Exception | None) -> None:
        """Count it out."""
        self._jobs.open -= 1

    def data_received(self, data: bytes) -> None:
        """Take in what came, and answer each request that is whole."""
        buffer = self._buffer + data if self._buffer else data
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(buffer, 0, end)
            after = end + 4 + (int(length[1]) if length else 0)
            if len(buffer) < after:
                break
            self._take(buffer[:end], buffer[end + 4 : after])
            buffer = buffer[after:]
        self._buffer = buffer

    def _take(self, head: bytes, body: bytes) -> None:
        target = head.split(b" ", 2)[1].decode()
        if target.startswith("/control/"):
            self._send(self._control(target, body))
        else:
            self._loop.call_later(self._jobs.think, self._answer, target, head, body)

    def _answer(self, target: str, head: bytes, body: bytes) -> None:
        self._send(self._jobs.answer(target, head, body))

    def _send(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def _control(self, target: str, body: bytes) -> bytes:
        match target.removeprefix("/control/"):
            case "jobs":
                self._jobs.set_up(json.loads(body))
            case "reset":
                self._jobs.reset()
            case "stats":
                stats = {**self._jobs.stats(), "server_cpu": time.process_time()}
                return reply(200, json.dumps(stats).encode())
            case _:
                return reply(404)
        return reply(200, b"{}")


def tls_context(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server's context of a fresh authority, and the file that a client is to trust."""
    from airflow_provider_jobstatus.sandbox.certificates import Certificates

    certificates = Certificates("127.0.0.1")
    ca = folder / "authority.pem"
    ca.write_bytes(certificates.authority)
    return certificates.contexts["good"], ca


async def serve(jobs: Jobs, tls: Path | None) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    context, ca = tls_context(tls) if tls else (None, None)
    server = await loop.create_server(
        lambda: Connection(jobs, loop), "127.0.0.1", 0, ssl=context, backlog=4096
    )
    port = server.sockets[0].getsockname()[1]
    address = {"url": f"{'https' if tls else 'http'}://127.0.0.1:{port}", "ca": ca and str(ca)}
    print(json.dumps(address), flush=True)
    over = asyncio.Event()

    def watch() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=watch, daemon=True).start()
    await over.wait()
    # Whoever ended standard input is not interested in what is under way.
    os._exit(0)


def main() -> None:
    """Be the server."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--tls", type=Path, help="serve HTTPS, and put the authority into this folder")
    parser.add_argument("--core", type=int, help="run on this core only")
    arguments = parser.parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(Jobs(), arguments.tls))
    else:
        uvloop.run(serve(Jobs(), arguments.tls))


if __name__ == "__main__":
    main()
