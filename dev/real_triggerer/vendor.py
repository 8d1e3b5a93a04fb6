"""The status server as :mod:`dev.real_triggerer` uses it, and Airflow's connections to it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.service import Service

#: Longer than any run, in seconds.
_NEVER = 1e9


@dataclass(frozen=True)
class Counts:
    """
    What was requested since the jobs were ordered.

    :param requests: by kind.
    """

    requests: dict[str, int]
    connections: int


class Vendor:
    """Jobs on a status server, with times in epoch seconds."""

    def __init__(self, service: Service) -> None:
        self.pid = service.pid
        self._service = service
        # The server counts in the machine's own clock.
        self._epoch = time.time() - time.monotonic()

    def begin(self, jobs: Iterable[int]) -> None:
        """Let these jobs run, and forget what was counted."""
        self.end(dict.fromkeys(jobs, time.time() + _NEVER))
        self._service.reset()

    def end(self, ends: Mapping[int, float]) -> None:
        """Let jobs end, each at its point in time."""
        self._service.order({job: end - self._epoch for job, end in ends.items()})

    def counts(self) -> Counts:
        """Return what was counted."""
        stats = self._service.stats()
        return Counts(stats["counts"], stats["connections"])

    def served_at(self) -> dict[int, float]:
        """Return by job when its own status was first answered as ended."""
        return {int(job): at + self._epoch for job, at in self._service.times()["served_at"].items()}

    def connections(self) -> dict[str, dict[str, Any]]:
        """Return Airflow's connections to the server, by id."""
        url = self._service.url
        host, _, port = url.rpartition(":")
        client = {"login": "bench", "password": "bench", "extra": {"token_url": f"{url}/oauth/token"}}
        return {
            "bench_http": {"conn_type": "http", "host": host, "port": int(port)},
            "bench_ruler": {"conn_type": "ruler", "host": f"{url}/v1", "password": "bench"},
            "bench_talkdesk": {"conn_type": "talkdesk", "host": url, **client},
        }
