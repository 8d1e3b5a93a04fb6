"""Processes that hold waits, as triggerers do, and what they have reported."""

from __future__ import annotations

import json
import math
import multiprocessing
import multiprocessing.context
import queue
import random
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dev.chaos.host import UP, main

NEWS_EVERY = 15.0

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
        self.process = _context().Process(target=main, args=(theirs, dict(env), log), daemon=True)
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
    context.set_forkserver_preload(["dev.chaos.preload"])
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

    def held_since(self, number: int, at: float) -> float:
        """Return when a wait was given to the host that held it at a point in time, epoch seconds."""
        return max(since for since in self._since[number] if since <= at)


class Crowd:
    """The processes that hold the waits.

    :param folder: for their logs
    :param env: their environment
    :param ledger: which host holds which wait
    :param processes: how many at once
    """

    def __init__(self, folder: Path, env: dict[str, str], ledger: Ledger, processes: int) -> None:
        self.kills = 0
        self.exits: list[str] = []
        self._folder, self._env, self._ledger = folder, env, ledger
        self._reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._started = 0
        # When the newest host was up, of the monotonic clock.
        self._up_at = math.inf
        self._hosts = [self._start() for _ in range(processes)]
        waits = ledger.unfinished()
        for index, host in enumerate(self._hosts):
            ledger.hand_over(waits[index::processes], host)

    def run(self, kill_every: float, give_up_at: float) -> None:
        """Kill one process after the other until every wait has ended.

        :param kill_every: seconds
        :param give_up_at: of the monotonic clock
        """
        next_kill = time.monotonic() + kill_every
        next_news = time.monotonic() + NEWS_EVERY
        while self._ledger.unfinished() and time.monotonic() < give_up_at:
            until = min(next_kill, give_up_at, time.monotonic() + 1.0)
            self._read(until)
            if time.monotonic() >= next_news:
                print(f"{len(self._ledger.unfinished())} are left, {self.kills} kills", flush=True)
                next_news += NEWS_EVERY
            for host in list(self._hosts):
                if not host.process.is_alive():
                    self.exits.append(f"{host.name} ended with exit code {host.process.exitcode}")
                    self._replace(host)
            # On a busy machine it takes a while until the newest is up, and nothing moves if all die before.
            if time.monotonic() >= max(next_kill, self._up_at + kill_every):
                # The oldest: each lives as long as the others.
                self._replace(self._hosts[0])
                self.kills += 1
                next_kill = time.monotonic() + kill_every

    def end(self) -> None:
        """End all processes."""
        for host in self._hosts:
            host.kill()
        self._read(time.monotonic())

    def _start(self) -> Host:
        self._started += 1
        return Host(f"host-{self._started}", self._folder, self._env, self._reports)

    def _replace(self, host: Host) -> None:
        host.kill()
        self._hosts.remove(host)
        self._read(time.monotonic())
        orphans = self._ledger.unfinished(host.name)
        self._hosts.append(self._start())
        self._up_at = math.inf
        # To all, in any order: the oldest is the next to die, and must not get the last wait each time.
        heirs = random.sample(self._hosts, len(self._hosts))
        for index, heir in enumerate(heirs):
            self._ledger.hand_over(orphans[index :: len(heirs)], heir)

    def _read(self, until: float) -> None:
        """Take in what was reported, also what is there when the time is over."""
        while True:
            try:
                report = self._reports.get(timeout=max(until - time.monotonic(), 0.0))
            except queue.Empty:
                return
            if report.number != UP:
                self._ledger.take(report)
            elif report.host == self._hosts[-1].name:
                self._up_at = time.monotonic()
