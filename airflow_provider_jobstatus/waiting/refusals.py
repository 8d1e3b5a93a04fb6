"""
Refusals of a key, for all jobs that are polled with it: one poll finds out for all whether it works again.

A key that is made anew at the vendor works before anybody can put it into the connection, so waits bear a
refusal for a while. Meanwhile one poll a minute is sent with the same key, for one job after the other; and a
refused login, which too many tries may lock, is tried three times in all. Other settings have another
:class:`Refusals`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from http import HTTPStatus
from typing import Any

from airflow_provider_jobstatus.core.errors import AccessDenied, SettingsError, VendorError
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.waiting.failed_polls import REFUSED_PAUSE
from airflow_provider_jobstatus.waiting.spec import SAME_POINT

#: Seconds after which a connection is read again while its key is refused.
REFUSED_AGE = 30.0
#: Seconds between two polls with a refused key; the second comes sooner, as one refusal may be a mistake.
SECOND_TRY, ASK_PAUSE = 1.0, 60.0
#: Seconds between two logins that are refused, and how many there are.
LOGIN_PAUSE, MAX_LOGINS = 240.0, 3
#: Jobs that are refused with 403, with no usable response meanwhile, until the key itself counts as refused:
#: one job may be of another account. The first number holds if the key was never seen to work.
FORBIDDEN_ALIKE, FORBIDDEN_ALIKE_LATER = 3, 2
#: Seconds for which a poll is reserved for a job whose turn it is: a job that was held is due again sooner.
TURN_KEPT = REFUSED_PAUSE + 1.0


class _Refused:
    __slots__ = ("again_at", "error", "times")

    def __init__(self, error: AccessDenied, again_at: float = 0.0, times: int = 0) -> None:
        self.error, self.again_at, self.times = error, again_at, times


class _Turns:
    """
    Which job is polled next, to find out whether a refused key works again.

    :param had: jobs that were polled already, in vain.
    """

    __slots__ = ("_had", "_waiting")

    def __init__(self, had: Set[str]) -> None:
        self._had, self._waiting = set(had), set[str]()

    def is_over(self, job_id: str) -> bool:
        """Whether a job has had its turn, and others wait for theirs."""
        return bool(self._waiting) and job_id in self._had

    def wait(self, job_id: str) -> None:
        """Take note that a job is held."""
        if job_id not in self._had:
            self._waiting.add(job_id)

    def take(self, job_id: str) -> None:
        """Take note that a job is polled. With the last one that waits, a round is over."""
        self._waiting.discard(job_id)
        if not self._waiting:
            self._had.clear()
        self._had.add(job_id)

    def expire(self) -> None:
        """Wait no longer for jobs that are not due again."""
        self._waiting.clear()

    def forget(self, job_id: str) -> None:
        """Forget a job that is not waited for any more."""
        self._waiting.discard(job_id)
        self._had.discard(job_id)


class Refusals:
    """
    Says whether a job may be polled although its key was refused.

    A 403 may be of one job alone, until others are refused as well; a 401 and a refused login are of the
    key. A job that is refused while others get usable responses is no sign against the key, until it gets one
    itself.

    :param memory: what :meth:`memory` of an earlier one returned, by the same clock.

    :ivar last_at: when something was refused last.
    """

    def __init__(self, memory: Mapping[str, Any] | None = None) -> None:
        self._key: _Refused | None = None
        self._jobs: dict[str, _Refused] = {}
        self._turns = _Turns(frozenset())
        self._prober: str | None = None
        # Jobs that were refused since the last usable response, and those that were refused beside one.
        self._alike: set[str] = set()
        self._apart: set[str] = set()
        self._logins = 0
        self._worked = False
        self._since: float | None = None
        self.last_at = -math.inf
        if memory is not None:
            self._since = memory["since"]
            if "error" in memory:
                self._logins, self.last_at = memory["logins"], memory["at"]
                facts = dict(memory["error"])
                credential = facts.pop("credential")
                error = AccessDenied(**facts)
                error.login, error.credential, error.refused_since = True, credential, self._since
                self._key = _Refused(error, self._next_login(self.last_at), self._logins)

    @property
    def active(self) -> bool:
        """Whether something is refused."""
        return self._key is not None or bool(self._jobs)

    @property
    def of_key(self) -> bool:
        """Whether the key itself is refused."""
        return self._key is not None

    @property
    def again_at(self) -> float:
        """When the key may be tried again, at the earliest."""
        return self._key.again_at if self._key else -math.inf

    def memory(self) -> dict[str, Any] | None:
        """
        Return plain JSON by which a later one goes on, in another process: since when there are refusals, and
        how many logins were refused. None if nothing was ever refused.
        """
        if self._since is None:
            return None
        known: dict[str, Any] = {"since": self._since}
        if self._key is not None and self._logins:
            names = ("reason", "vendor", "method", "path", "status", "host", "credential")
            error = {name: getattr(self._key.error, name) for name in names}
            known |= {"logins": self._logins, "at": self.last_at, "error": error}
        return known

    def hold(self, job_id: str, at: float, conn_id: str) -> AccessDenied | None:
        """
        Return the error for a job that must not be polled now, or None if it may be.

        :param conn_id: of the connection that is waited on: others may hold the same key.
        """
        refused = self._key or self._jobs.get(job_id)
        if refused is None or self._may_ask(job_id, refused, at):
            return None
        held = refused.error.seen_by(conn_id)
        held.asked, held.retry_after = False, None
        if refused.error.retry_after and at < refused.again_at < math.inf:
            held.retry_after = refused.again_at - at
        return held

    def _may_ask(self, job_id: str, refused: _Refused, at: float) -> bool:
        due = at >= refused.again_at - SAME_POINT
        if refused is not self._key:
            return due
        if at >= refused.again_at + TURN_KEPT - SAME_POINT:
            self._turns.expire()
        # A login is the same for every job; and the second try shows whether the first was a mistake.
        in_turn = refused.error.login or refused.times == 1 or not self._turns.is_over(job_id)
        if due and in_turn and self._prober is None:
            return True
        self._turns.wait(job_id)
        return False

    def asks(self, job_id: str) -> None:
        """Take note that a job is polled: until the response has come, the key is not tried again."""
        if self._key is not None:
            self._prober = job_id
            if self._key.times > 1:
                self._turns.take(job_id)

    def observe(self, job_id: str, answer: JobStatus | VendorError | SettingsError | None, at: float) -> None:
        """
        Take in how a poll has ended.

        :param answer: None if a fault of ours ended it.
        """
        if isinstance(answer, AccessDenied):
            self._refuse(job_id, answer, at)
        elif isinstance(answer, JobStatus):
            self._worked = True
            if self.active or self._alike or self._apart:
                self._apart |= self._alike
                self.forget(job_id)
                self._clear()
        if self._prober == job_id:
            self._prober = None

    def forget(self, job_id: str) -> None:
        """Forget a job that is not waited for any more."""
        self._jobs.pop(job_id, None)
        self._apart.discard(job_id)
        self._turns.forget(job_id)
        if self._prober == job_id:
            self._prober = None

    def renew(self, began_at: float) -> None:
        """Forget what is older than a wait that began, as it must, with a poll that was not refused."""
        if began_at > self.last_at:
            self._clear()

    def _clear(self) -> None:
        self._key = self._prober = None
        self._alike.clear()
        self._logins = 0

    def _refuse(self, job_id: str, error: AccessDenied, at: float) -> None:
        self.last_at = at
        self._since = error.refused_since = at if self._since is None else self._since
        if job_id not in self._apart:
            self._alike.add(job_id)
        refused = self._key
        alike = FORBIDDEN_ALIKE_LATER if self._worked else FORBIDDEN_ALIKE
        if refused is None and (
            error.login or error.status != HTTPStatus.FORBIDDEN or len(self._alike) >= alike
        ):
            refused = self._key = _Refused(error)
            self._turns = _Turns(self._alike)
        elif refused is None:
            refused = self._jobs.setdefault(job_id, _Refused(error))
        elif self._prober != job_id:
            # It was under way before the key was known to be refused.
            refused.error = error
            return
        refused.error = error
        refused.times += 1
        if error.login:
            self._logins += 1
            refused.again_at = self._next_login(at)
        else:
            refused.again_at = at + (SECOND_TRY if refused.times == 1 else ASK_PAUSE)
        refused.again_at = max(refused.again_at, at + (error.retry_after or 0.0))

    def _next_login(self, last: float) -> float:
        return last + LOGIN_PAUSE if self._logins < MAX_LOGINS else math.inf
