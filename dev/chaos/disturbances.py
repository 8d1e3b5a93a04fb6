"""What is done to a running Airflow, and to the keys of its connections, on a timetable."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sandbox.vendor import Connection
from dev.chaos import jobs
from dev.postgres import PostgresDatabase
from dev.stack import AirflowStack
from tests.support import canaries
from tests.support.canaries import USER, Canary

KILL_EVERY = 20.0
#: How long the other triggerer has been up by then: without one that lives, nothing can be taken over. On a
#: busy machine, where a start takes longer, this makes the kills fewer.
UP_BEFORE_KILL = 14.0
PAUSE = 40.0
#: How long a woken triggerer may go on with waits that are another's by now.
WAKE_WINDOW = 20.0
#: Long enough before a rotation for every wait to have seen a good answer since its last refusal: a refusal
#: by chance, followed by one because of the rotation, would be two in a row.
QUIET = 60.0


@dataclass(frozen=True)
class Timetable:
    """When what happens, in seconds from the start of the run.

    :param kills_until: a triggerer is killed every 20 s until then
    :param pauses: a triggerer is stopped for 40 s
    :param rotations: every connection gets a new key, and the vendors refuse the old ones
    :param api_down: from when to when there is no api-server
    :param refusals: whether a 401 is also among the random faults, before the first rotation and a minute
        after the last
    """

    kills_until: float
    pauses: tuple[float, ...]
    rotations: tuple[float, ...]
    api_down: tuple[float, float]


# The waits are to end soon after the last kill.
SHORT = Timetable(kills_until=110.0, pauses=(25.0,), rotations=(45.0,), api_down=(75.0, 95.0))
FULL = Timetable(
    kills_until=math.inf,
    pauses=tuple(70.0 + 300 * number for number in range(40)),
    rotations=tuple(290.0 + 300 * number for number in range(40)),
    api_down=(150.0, 210.0),
)


class Keys:
    """The secrets of the connections, each generation easy to find wherever it leaks to.

    :param sandbox: whose vendors they open
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.known: list[Canary] = []
        self._sandbox = sandbox

    def rotate(self, store: Callable[[str, Connection], None]) -> None:
        """Give every vendor a new key, end the old ones and all tokens.

        :param store: stores a connection, by its id
        """
        fresh, other = canaries.make_canaries(), canaries.make_canaries()
        made = {
            "aftercare": ("api_key", fresh["key"]),
            "questionpro": ("api_key", other["key"]),
            "ruler": ("password", fresh["password"]),
            "talkdesk": ("client_secret", fresh["client secret"]),
        }
        old = jobs.connections(self._sandbox)
        for vendor, (setting, canary) in made.items():
            self.known.append(canary)
            connection = old[f"{vendor}_chaos"] | {"password": canary.value}
            more = {"username": USER} if vendor == "ruler" else {}
            connection |= {"login": USER} if vendor == "ruler" else {}
            # The connection first: a wait that reads it too early is refused once, which is forgiven.
            store(f"{vendor}_chaos", connection)
            self._sandbox.change_settings(vendor, **{setting: canary.value}, **more)
            if vendor in ("ruler", "talkdesk"):
                self._sandbox.revoke_tokens(vendor)


@dataclass
class Disturber:
    """Does what the timetable says; its methods are called from one loop.

    :param say: called with everything that is done

    :ivar done: how often what was done
    :ivar wakes: when a paused triggerer was woken, epoch seconds
    :ivar exits: triggerers that ended without our doing, with their exit codes
    """

    stack: AirflowStack
    database: PostgresDatabase
    sandbox: Sandbox
    keys: Keys
    timetable: Timetable
    rate: float
    seed: int
    say: Callable[[str], None] = print
    done: Counter[str] = field(default_factory=Counter)
    wakes: list[float] = field(default_factory=list)
    exits: list[tuple[str, int]] = field(default_factory=list)
    _paused: str | None = None
    _down: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._began_at = time.monotonic()
        self._due = sorted(self._appointments(), key=lambda each: each[0])
        self._next_kill = KILL_EVERY
        self._turn = 0
        self._launched_at = 0.0

    def step(self) -> None:
        """Do what has become due, and look after the components."""
        now = time.monotonic() - self._began_at
        while self._due and self._due[0][0] <= now:
            _, name, act = self._due.pop(0)
            self.say(f"{now:6.0f} s  {name}")
            act()
            self.done[name] += 1
        if self._next_kill <= now <= self.timetable.kills_until and self._newest_is_up():
            self._next_kill = now + KILL_EVERY
            self._kill(now)
        for name in self.stack.triggerers:
            code = self.stack.exit_code(name)
            if code is not None:
                self.say(f"{now:6.0f} s  {name} ended by itself with exit code {code}")
                self.exits.append((name, code))
                self.stack.launch(name)
        self.stack.check_alive()

    def end(self) -> None:
        """Wake the triggerer that is paused."""
        if self._paused is not None:
            self._wake()

    def _appointments(self) -> Iterator[tuple[float, str, Callable[[], None]]]:
        for at in self.timetable.pauses:
            yield at, "pause a triggerer", self._pause
            yield at + PAUSE, "wake it", self._wake
        for at in self.timetable.rotations:
            yield at - QUIET, "no refusals by chance", lambda: self._faults(refusals=False)
            yield at, "rotate the keys", lambda: self.keys.rotate(self.stack.change_connection)
            yield at + QUIET / 2, "refusals by chance", lambda: self._faults(refusals=True)
        begin, end = self.timetable.api_down
        yield begin, "end the api-server", lambda: self.stack.kill("api-server")
        yield end, "start the api-server", lambda: self.stack.launch("api-server")

    def _newest_is_up(self) -> bool:
        """Return whether the triggerer that was started last has been up for long enough."""
        up = f"start_date BETWEEN to_timestamp({self._launched_at}) AND now() - interval '{UP_BEFORE_KILL} s'"
        found = self.database.query(f"SELECT count(*) FROM job WHERE job_type = 'TriggererJob' AND {up}")  # noqa: S608
        return bool(found[0]["count"])

    def _faults(self, *, refusals: bool) -> None:
        self.sandbox.random_faults(self.rate, seed=self.seed, refusals=refusals)

    def _kill(self, now: float) -> None:
        names = [name for name in self.stack.triggerers if name != self._paused]
        name = names[self._turn % len(names)]
        self._turn += 1
        self.say(f"{now:6.0f} s  kill -9 {name}")
        self.stack.kill(name)
        self._launched_at = time.time()
        self.stack.launch(name)
        self.done["kill a triggerer"] += 1

    def _pause(self) -> None:
        # Not the one whose turn it is to be killed: it has run for longer, and has more to do.
        self._paused = self.stack.triggerers[(self._turn + 1) % len(self.stack.triggerers)]
        self.stack.pause(self._paused)

    def _wake(self) -> None:
        if self._paused is not None:
            self.stack.resume(self._paused)
            self.wakes.append(time.time())
            self._paused = None
