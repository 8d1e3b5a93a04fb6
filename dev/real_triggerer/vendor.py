"""The status server as :mod:`dev.real_triggerer` uses it, and Airflow's connections to it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

ROOT = Path(__file__).resolve().parents[2]
#: Longer than any run, in seconds.
_NEVER = 1e9


@dataclass(frozen=True)
class Counts:
    """
    What was asked since the jobs were ordered.

    :param requests: by kind.
    """

    requests: dict[str, int]
    connections: int


class Vendor:
    """The status server, in a process of its own for as long as the context lasts."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.status_server"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = str(json.loads(self._process.stdout.readline())["url"])
        self.pid = self._process.pid
        self._session = requests.Session()
        self._session.trust_env = False
        # The server counts in the machine's own clock.
        self._epoch = time.time() - time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def begin(self, jobs: Iterable[int]) -> None:
        """Let these jobs run, and forget what was counted."""
        self.end(dict.fromkeys(jobs, time.time() + _NEVER))
        self._control("reset", {})

    def end(self, ends: Mapping[int, float]) -> None:
        """Let jobs end, each at its point in time."""
        self._control("jobs", {"jobs": {str(job): end - self._epoch for job, end in ends.items()}})

    def counts(self) -> Counts:
        """Return what was counted."""
        stats = self._control("stats", {})
        return Counts(stats["counts"], stats["connections"])

    def served_at(self) -> dict[int, float]:
        """Return by job when its own status was first answered as ended, in epoch seconds."""
        return {int(job): at + self._epoch for job, at in self._control("times", {})["served_at"].items()}

    def connections(self) -> dict[str, dict[str, Any]]:
        """Return Airflow's connections to it, by id."""
        host, _, port = self.url.rpartition(":")
        client = {"login": "bench", "password": "bench", "extra": {"token_url": f"{self.url}/oauth/token"}}
        return {
            "bench_http": {"conn_type": "http", "host": host, "port": int(port)},
            "bench_ruler": {"conn_type": "ruler", "host": f"{self.url}/v1", "password": "bench"},
            "bench_talkdesk": {"conn_type": "talkdesk", "host": self.url, **client},
        }

    def _control(self, door: str, orders: Mapping[str, Any]) -> dict[str, Any]:
        reply = self._session.post(f"{self.url}/control/{door}", json=orders, timeout=30)
        reply.raise_for_status()
        found: dict[str, Any] = reply.json()
        return found
