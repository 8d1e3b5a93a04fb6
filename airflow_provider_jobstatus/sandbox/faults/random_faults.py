"""Faults at a rate: the responses of a vendor on a bad day, and the calls that come too early after them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

from aiohttp import web

from airflow_provider_jobstatus.sandbox.script import Entry

#: Of so many faults, how many are of each kind.
WEIGHTS = {"500": 3, "503": 3, "429": 3, "reset": 3, "truncated": 3, "stall": 3, "401": 2}
#: Longest ``Retry-After`` by default, and longest stall, in seconds.
MAX_RETRY_AFTER = 15
MAX_STALL = 1.0
#: For so many seconds after its last ``Retry-After`` is over, a vendor refuses without one. A client may
#: apply it to its whole key, and would hardly poll a vendor that sends one all the time.
PAUSE_APART = 20.0
#: A connection that is gone so many seconds after a response never received it: its process was killed while
#: the request was queued here. Others keep their connection for longer.
HEARD = 0.5

_HALF = b'{"batchJobId": "1", "status": "compl'


class EarlyCall(TypedDict):
    """A call that came before the ``Retry-After`` of its path was over; times are epoch seconds."""

    path: str
    told_at: float
    due: float
    at: float


class FaultReport(TypedDict):
    """What was done to the callers: requests and faults so far, by kind, and the early calls."""

    requests: int
    faults: dict[str, int]
    early: list[EarlyCall]


@dataclass(frozen=True)
class _Wish:
    """When a path may be called again, and since when that is known."""

    told_at: float
    due: float


class RandomFaults:
    """Replaces answers of the API and of the logins by faults, at a rate of 0 by default.

    Which fault the n-th request of a path meets depends on nothing but the seed, so that a run can be
    repeated, however the requests of different jobs mix; only whether a 429 or 503 has a ``Retry-After``
    depends on the vendor's last one as well (``PAUSE_APART``). Early calls are recorded by path: the
    sandbox cannot see which clients of a key have received a ``Retry-After``.

    :param vendor_of: Returns the vendor that a path belongs to.
    """

    def __init__(self, vendor_of: Callable[[str], object]) -> None:
        self._vendor_of = vendor_of
        self._rate = 0.0
        self._seed = 0
        self._refusals = True
        self._max_retry_after, self._max_stall = MAX_RETRY_AFTER, MAX_STALL
        self._requests = 0
        self._asked: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._refused: set[str] = set()
        self._wishes: dict[str, _Wish] = {}
        self._pauses_over: dict[object, float] = {}  # vendor -> when its last Retry-After is over
        self._early: list[EarlyCall] = []

    def change(
        self, *, rate: float, seed: int, refusals: bool, max_retry_after: int, max_stall: float
    ) -> None:
        """Set the rate anew.

        :param rate: The part of all requests that meets a fault, from 0 to 1.
        :param seed: Of the dice.
        :param refusals: Whether a 401 is among them, which any path gets at most once: two in a row are no
            fault but a refusal.
        :param max_retry_after: The longest ``Retry-After``, in seconds.
        :param max_stall: The longest stall, in seconds.
        """
        if not 0 <= rate <= 1:
            raise ValueError("rate must be from 0 to 1.")
        self._rate, self._seed, self._refusals = rate, seed, refusals
        self._max_retry_after, self._max_stall = max_retry_after, max_stall

    def report(self) -> FaultReport:
        """Return what happened so far."""
        return {"requests": self._requests, "faults": dict(self._faults), "early": list(self._early)}

    def take(self, request: web.Request, now: float) -> Entry | None:
        """Return the fault that this request meets, if it is unlucky.

        :param now: Epoch seconds.
        """
        if not self._rate:
            return None
        path = f"{request.method} {request.raw_path.partition('?')[0]}"
        self._requests += 1
        # All clients share a login, and a list: one that did not receive the refusal cannot obey it.
        if request.method == "GET" and not path.endswith("/jobs"):
            self._watch(path, now)
        self._asked[path] += 1
        dice = random.Random(f"{self._seed} {path} {self._asked[path]}")  # noqa: S311
        if dice.random() >= self._rate:
            return None
        [kind] = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))
        # A refused login is not tried again at a wait's first poll: no fault, but a refusal.
        if kind == "401" and (request.method == "POST" or path in self._refused or not self._refusals):
            kind = "500"
        self._faults[kind] += 1
        entry = self._entry(kind, path, self._vendor_of(request.raw_path), dice, now)
        if path in self._wishes:
            wish, transport = self._wishes[path], request.transport
            asyncio.get_running_loop().call_later(HEARD, self._forget_unheard, path, wish, transport)
        return entry

    def _watch(self, path: str, now: float) -> None:
        wish = self._wishes.pop(path, None)
        if wish is not None and now < wish.due:
            self._early.append({"path": path, "told_at": wish.told_at, "due": wish.due, "at": now})

    def _forget_unheard(self, path: str, wish: _Wish, transport: asyncio.Transport | None) -> None:
        if (transport is None or transport.is_closing()) and self._wishes.get(path) is wish:
            del self._wishes[path]

    def _entry(self, kind: str, path: str, vendor: object, dice: random.Random, now: float) -> Entry:
        match kind:
            case "503" | "429" if now - self._pauses_over.get(vendor, 0.0) >= PAUSE_APART:
                seconds = dice.randint(1, self._max_retry_after)
                self._wishes[path] = _Wish(now, now + seconds)
                self._pauses_over[vendor] = now + seconds
                return Entry(http=int(kind), headers={"Retry-After": str(seconds)})
            case "reset":
                return Entry(disconnect=True)
            case "truncated":
                return Entry(http=200, body=_HALF, content_type="application/json")
            case "stall":
                return Entry(delay_seconds=dice.uniform(0.0, self._max_stall))
            case "401":
                self._refused.add(path)
        return Entry(http=int(kind))
