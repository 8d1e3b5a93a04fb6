"""
Downloads that break: to a disk, an S3, an SFTP server and a memory, at each place of the body and time.

After each the destination must be what it was before, or the whole file, with nothing beside it; only
`kill -9` may leave a part, and a retry succeeds all the same.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dev.chaos.breaks import (
    BODY,
    BREAKS,
    CUTS,
    LEFT,
    ODD,
    OLD,
    PART,
    PUBLISHED,
    SIGNALS,
    TOUCHED,
    WRONG,
    faults,
)
from dev.chaos.places import NAME, THEIRS, Memory, Place, Sftp, places
from dev.chaos.rig import Bar, command

if TYPE_CHECKING:
    from dev.chaos.fetching import Fetch

STEPS = ("open", "write", "close", "stat", "rename")
#: Of so many workers that were killed, one is tried again.
RETRIED = 10


@dataclass
class Vendor:
    """Serves a job and its rejected rows.

    :ivar cut: so much of the rows is sent
    :ivar resets: whether the connection then ends with a reset
    :ivar asked: set when the rows are requested
    """

    cut: int = len(BODY)
    resets: bool = False
    asked: threading.Event = field(default_factory=threading.Event)

    def handle(self, received: Any, connection: socket.socket) -> None:
        """Answer a request."""
        from tests.support.raw_server import reply, reset

        if "/status" in received.target:
            status = json.dumps({"status": "partialcomplete", "jobId": "job"}).encode()
            connection.sendall(reply(200, status, {"Content-Type": "application/json"}))
            return
        self.asked.set()
        head = {"Content-Type": "text/csv", "Content-Length": str(len(BODY))}
        connection.sendall(reply(200, b"", head, length=False) + BODY[: self.cut])
        if self.cut < len(BODY):
            if self.resets:
                reset(connection)
            else:
                connection.shutdown(socket.SHUT_WR)
                connection.close()


@dataclass
class Tally:
    """What was counted.

    :ivar faults: cases, by what was wrong with them
    :ivar late: signals that came after the end of the worker
    :ivar parts: what `kill -9` left
    """

    met: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: dict[str, list[str]] = field(default_factory=dict)
    late: int = 0
    parts: int = 0
    retried: int = 0


class Run:
    """One run.

    :ivar usual: seconds from the request of the rows to the end of a worker that is left alone, by place
    """

    def __init__(self, folder: Path, known: dict[str, Place], vendor: Vendor, seed: int) -> None:
        self.folder = folder
        self.known = known
        self.vendor = vendor
        self.dice = random.Random(seed)
        self.tally = Tally()
        self.usual = {name: max(self._alone(name) for _ in range(3)) for name in known}

    def once(self) -> None:
        """Break one download, and look at what it left."""
        kind = self.dice.choices(list(BREAKS), [often for often, _ in BREAKS.values()])[0]
        name = self.dice.choice(BREAKS[kind][1])
        place = self.known[name]
        before = self.dice.choice((None, OLD))
        cut = self.dice.choice(CUTS)
        case = f"{kind}, {name}, {cut} bytes, {'an old file' if before else 'no file'}"
        fetch = replace(
            self._fetch(place, before),
            if_exists="replace" if before else self.dice.choice(("replace", "fail", "skip")),
        )
        place.put(({NAME: before} if before else {}) | THEIRS)
        stop: Callable[[Any], None] = lambda _: None  # noqa: E731
        if kind == "stream":
            self.vendor.cut, self.vendor.resets = cut, self.dice.random() < 0.5
        elif kind == "disk full" and isinstance(place, Sftp):
            place.server.room = cut
        elif kind == "disk full":
            fetch = replace(fetch, disk_bytes=cut)
        elif kind in SIGNALS:
            pause = self.dice.uniform(0, self.usual[name])
            stop = lambda process: self._signal(process, SIGNALS[kind], pause)  # noqa: E731
        elif isinstance(place, Sftp):
            step = self.dice.choice(STEPS)
            place.server.before = _lost(step, self.dice.randint(1, 20) if step == "write" else 1)
        code = self._work(fetch, stop)
        self._restore()
        self._judge(kind, name, case, before, code)

    def _judge(self, kind: str, name: str, case: str, before: bytes | None, code: int) -> None:
        tally, place = self.tally, self.known[name]
        held = place.held()
        for fault in faults(kind, before, held, code):
            tally.faults.setdefault(fault, []).append(f"{case}, exit {code}: {sorted(held)}")
        if kind == "kill -9":
            tally.parts += len(held.keys() - THEIRS.keys() - {NAME})
        if kind in SIGNALS and code == PUBLISHED:
            tally.late += 1
            return
        tally.met[kind, name] += 1
        if code == -signal.SIGKILL and self.dice.randrange(RETRIED) == 0:
            tally.retried += 1
            if self._work(self._fetch(place, before)) != PUBLISHED or place.held().get(NAME) != BODY:
                tally.faults.setdefault(WRONG, []).append(f"{case}, the retry")

    def _fetch(self, place: Place, before: bytes | None) -> Fetch:
        from dev.chaos.fetching import Fetch

        port = place.server.port if isinstance(place, Sftp) else 0
        memory = (place.file, before) if isinstance(place, Memory) else None
        return Fetch(place.uri, PART, log=self.folder / "workers.log", sftp_port=port, memory=memory)

    def _work(self, fetch: Fetch, stop: Callable[[Any], None] = lambda _: None) -> int:
        from dev.chaos import fetching

        self.vendor.asked.clear()
        process = fetching.start(fetch)
        stop(process)
        process.join(120)
        if process.exitcode is None:
            process.kill()
            process.join()
        return process.exitcode or 0

    def _signal(self, process: Any, number: signal.Signals, pause: float) -> None:
        self.vendor.asked.wait(60)
        time.sleep(pause)
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)

    def _alone(self, name: str) -> float:
        place = self.known[name]
        place.put(THEIRS)
        ended: list[float] = []

        def wait(_: Any) -> None:
            self.vendor.asked.wait(60)
            ended.append(time.monotonic())

        code = self._work(self._fetch(place, None), wait)
        if code or place.held() != {NAME: BODY} | THEIRS:
            raise RuntimeError(f"a download that nothing disturbs fails: {name}, exit {code}")
        return time.monotonic() - ended[0]

    def _restore(self) -> None:
        self.vendor.cut = len(BODY)
        for place in self.known.values():
            if isinstance(place, Sftp):
                place.server.restore()


def _lost(step: str, times: int) -> Callable[[str], None]:
    """Return what ends the connection before the step, at its first or a later time."""
    left = [times]

    def before(name: str) -> None:
        left[0] -= name == step
        if name == step and left[0] == 0:
            raise ConnectionResetError

    return before


def measure(folder: Path, breaks: int, seed: int) -> list[Bar]:
    """Break so many downloads, and return what was counted."""
    from tests.support.raw_server import RawServer

    began_at = time.monotonic()
    vendor = Vendor()
    with RawServer(vendor.handle) as server, places(folder) as known:
        connection = {"conn_type": "ruler", "host": server.url, "password": "token-1"}
        os.environ["AIRFLOW_CONN_RULER_DEFAULT"] = json.dumps(connection)
        run = Run(folder, known, vendor, seed)
        # A run that is stopped tells what it has counted, also one in the background.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            while run.tally.met.total() < breaks and run.tally.late < 10 * breaks:
                run.once()
    tally = run.tally
    by_kind = [
        f"{kind}: {', '.join(f'{name} {tally.met[kind, name]}' for name in names)}"
        for kind, (_, names) in BREAKS.items()
    ]
    return [
        Bar("breaks", tally.met.total(), None, by_kind),
        *(
            Bar(name, len(found := tally.faults.get(name, [])), 0, found)
            for name in (WRONG, LEFT, TOUCHED, ODD)
        ),
        Bar("parts and uploads left by kill -9, which cannot clear up", tally.parts),
        Bar("retries after kill -9", tally.retried),
        Bar("signals that came after the end", tally.late),
        Bar("seconds", round(time.monotonic() - began_at)),
    ]


if __name__ == "__main__":
    sys.exit(command("dev.chaos.files", __doc__, measure, 2000, "breaks"))
