"""Processes that hold waits, as triggerers do, and what they have reported."""

from __future__ import annotations

import json
import multiprocessing
import multiprocessing.context
import queue
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.chaos import host

#: Number of the wait, class path and arguments of its trigger: what Airflow stores.
Stored = tuple[int, str, Mapping[str, Any]]


@dataclass(frozen=True)
class Report:
    """An event that a host has fired."""

    host: str
    number: int
    payload: Any


class Host:
    """One process.

    :param name: its name
    :param folder: for its log
    :param env: variables of its environment
    :param reports: where its events go
    """

    def __init__(
        self, name: str, folder: Path, env: Mapping[str, str], reports: queue.SimpleQueue[Report]
    ) -> None:
        self.name = name
        self._reports = reports
        self._pipe, theirs = multiprocessing.Pipe()
        log = str(folder / f"{name}.log")
        self.process = _context().Process(target=host.main, args=(theirs, dict(env), log), daemon=True)
        self.process.start()
        # So that its end closes the pipe.
        theirs.close()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def give(self, waits: Iterable[Stored]) -> None:
        """Let the host take over these waits."""
        self._pipe.send_bytes(json.dumps(list(waits)).encode())

    def kill(self) -> None:
        """End it with SIGKILL, and return when everything that it had reported is in the queue."""
        self.process.kill()
        self.process.join()
        self._reader.join()
        self._pipe.close()

    def _read(self) -> None:
        while True:
            try:
                number, payload = json.loads(self._pipe.recv_bytes())
            except (EOFError, OSError):
                # Also in the middle of a report, which then was never made.
                return
            self._reports.put(Report(self.name, number, payload))


@cache
def _context() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.chaos.preload"])
    return context


class Ledger:
    """Who holds which wait since when, and which have ended.

    :param waits: all of them, by number
    """

    def __init__(self, waits: Mapping[int, Stored]) -> None:
        self.events: dict[int, Any] = {}
        self.twice: list[int] = []
        self.starts = 0
        self._waits = waits
        self._owner: dict[int, str] = {}
        self._since: dict[int, list[float]] = {number: [] for number in waits}

    def hand_over(self, numbers: Iterable[int], to: Host) -> None:
        """Give waits to a host."""
        taken = list(numbers)
        for number in taken:
            self._owner[number] = to.name
            self._since[number].append(time.time())
        self.starts += len(taken)
        to.give(self._waits[number] for number in taken)

    def take(self, report: Report) -> None:
        """Keep an event."""
        if report.number in self.events:
            self.twice.append(report.number)
        self.events[report.number] = report.payload

    def unfinished(self, owner: str | None = None) -> list[int]:
        """Return the waits without an event, of one host or of all."""
        return [
            number
            for number in self._waits
            if number not in self.events and owner in (None, self._owner.get(number))
        ]

    def changed_hands(self, number: int, after: float, before: float) -> bool:
        """Return whether a wait was given to another host between two points in time, epoch seconds."""
        return any(after <= since <= before for since in self._since[number])
