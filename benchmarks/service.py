"""The status server of the benchmarks as they see it: started, told what to do, asked what it counted."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

ROOT = Path(__file__).absolute().parents[1]


def cores() -> tuple[int | None, int | None]:
    """Return the cores of client and server: two different ones, or None each on a machine with one."""
    known = sorted(os.sched_getaffinity(0))
    return (known[0], known[-1]) if len(known) > 1 else (None, None)


@dataclass(frozen=True)
class Service:
    """
    A running status server.

    :param url: its address, without a slash at the end.
    :param ca: file of its authority, over TLS.
    :param pid: its process.
    """

    url: str
    ca: str | None = None
    pid: int = 0

    @classmethod
    @contextmanager
    def started(cls, tls: bool = False, pinned: bool = True) -> Iterator[Self]:
        """
        Start one, and end it with the ``with``.

        :param pinned: to a core that is not the client's.
        """
        with tempfile.TemporaryDirectory(prefix="jobstatus-bench-") as folder:
            command = [sys.executable, "-m", "benchmarks.status_server", *(["--tls", folder] if tls else ())]
            core = cores()[1] if pinned else None
            command += ["--core", str(core)] if core is not None else []
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
            )
            assert process.stdin
            assert process.stdout
            try:
                yield cls(**json.loads(process.stdout.readline()), pid=process.pid)
            finally:
                process.stdin.close()
                process.wait()
                process.stdout.close()

    def order(self, ends_at: Mapping[int, float] | None = None, **settings: Any) -> None:
        """Order jobs, by id the point of ``time.monotonic()`` at which each ends, and change settings."""
        self._call("POST", "/control/jobs", {"jobs": dict(ends_at or {}), **settings})

    def reset(self) -> None:
        """Begin to count anew."""
        self._call("POST", "/control/reset", {})

    def stats(self) -> dict[str, Any]:
        """Return what was counted."""
        return self._call("GET", "/control/stats", None)

    def counts(self) -> dict[str, int]:
        """Return the requests of each kind."""
        return self._call("GET", "/control/counts", None)

    def times(self) -> dict[str, Any]:
        """Return when each job ended, when that was first told, and when QuestionPro was asked about it."""
        return self._call("GET", "/control/times", None)

    def _call(self, method: str, path: str, body: Any) -> dict[str, Any]:
        place = urlsplit(self.url).netloc
        connection = (
            HTTPSConnection(place, context=ssl.create_default_context(cafile=self.ca))
            if self.ca
            else HTTPConnection(place)
        )
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answered: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return answered
