"""One trigger's wait, as the fleet of all waits on a connection sees it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Any

from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.fleet.progress_writer import Display
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.progress import summary
from airflow_provider_jobstatus.waiting.spec import JobEvent, News, WaitSpec
from airflow_provider_jobstatus.waiting.status_lines import Signs, own_polls, sign
from airflow_provider_jobstatus.waiting.wait_log import Chronicle

log = logging.getLogger(__name__)


class Wait:
    """
    Tells the pollers of one trigger what became of the questions, until the wait is over.

    It is told from the tasks of the fleet, and writes where its trigger would: Airflow finds a trigger's log
    by the context that it runs in.

    :param spec: of the wait.
    :param pollers: of the trigger's jobs.
    :param chronicle: what is written of it.
    :param offset: epoch seconds less the fleet's own clock, as of the beginning of this wait.
    :param at: now, by the fleet's clock, as all points in time here.

    :ivar display: told that there is something new to show, if there is one.
    :ivar listed: returns when the list was read last, and is read next, that does a job's polls, if one does.
    :ivar joined: how many times its connection had begun to be read when it joined the fleet.
    :ivar over: done when the wait is over; fails if a fault of ours has ended it.
    """

    __slots__ = (
        "_chronicle",
        "_context",
        "_signs",
        "_waiting",
        "display",
        "joined",
        "listed",
        "offset",
        "over",
        "pollers",
        "spec",
    )

    def __init__(
        self,
        spec: WaitSpec,
        pollers: Sequence[JobPoller],
        chronicle: Chronicle,
        offset: float,
        at: float,
    ) -> None:
        self.spec = spec
        self.pollers = pollers
        self.offset = offset
        self.joined = 0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._chronicle = chronicle
        self.display: Display | None = None
        self.listed: Callable[[str], tuple[float, float] | None] | None = None
        self._signs = Signs(spec.started_at, at + offset)
        self._waiting = len(pollers)
        self._context = copy_context()

    def may_ask(self, poller: JobPoller, at: float) -> bool:
        """
        Return whether to ask about a job now; the wait for it may end instead.
        """
        if poller.may_ask(at + self.offset):
            return True
        if poller.event is not None:
            self._context.run(self._ended, poller.event, at)
        return False

    def agrees(self, hook: BatchJobHook) -> bool:
        """Return whether a hook leads to the account of this wait's jobs."""
        return self.spec.account in ("", hook.account_digest)

    def belongs(self, poller: JobPoller, hook: BatchJobHook, at: float) -> bool:
        """Return whether a hook still leads to the account of this wait's jobs; if not, the wait ends."""
        if self.agrees(hook):
            return True
        try:
            hook.check_account(self.spec.account)
        except SettingsError as error:
            self.observe(poller, error, at)
        return False

    def observe(self, poller: JobPoller, answer: JobStatus | VendorError | SettingsError, at: float) -> None:
        """Take in what a question about a job brought."""
        try:
            news = poller.observe(answer, at + self.offset)
            if news is not None:
                self._context.run(self._tell, news, answer, at)
            if poller.event is not None:
                self._context.run(self._ended, poller.event, at)
        except Exception as fault:  # noqa: BLE001 - handed to the trigger's outer boundary; others wait on
            self.fail(fault)

    def warn(self, text: str) -> None:
        """Write a line into the trigger's log."""
        self._context.run(self._chronicle.warn, text)

    def visit(self, at: float) -> None:
        """Give a sign of life, if one is due."""
        if self.over.done():
            return
        try:
            due = self._signs.due(self.pollers, at + self.offset)
            if due:
                self._context.run(self._chronicle.sign, sign(self.pollers, at + self.offset, self._polls))
            if self.display is not None:
                self.display.visit(at, due)
        except Exception:
            log.exception("A wait could give no sign of life; it goes on")

    def progress(self, at: float) -> dict[str, Any]:
        """Return how far the wait has come."""
        return summary(self.pollers, at + self.offset, self._polls)

    def _polls(self, poller: JobPoller) -> tuple[float | None, float]:
        read = None if self.listed is None else self.listed(poller.job_id)
        return own_polls(poller) if read is None else (read[0] + self.offset, read[1] + self.offset)

    def fail(self, fault: BaseException) -> None:
        """End the wait by a fault of ours."""
        if not self.over.done():
            self.over.set_exception(fault)

    def _tell(self, news: News, answer: JobStatus | VendorError | SettingsError, at: float) -> None:
        self._chronicle.tell(news)
        if isinstance(answer, JobStatus) and self.display is not None:
            self.display.changed(at)

    def _ended(self, event: JobEvent, at: float) -> None:
        if self.over.done():
            return
        self._chronicle.ended(event)
        self._waiting -= 1
        if self.spec.decided_by(event):
            for other in self.pollers:
                if other.event is None:
                    other.leave()
            self._waiting = 0
        if not self._waiting:
            self.over.set_result(None)
        elif self.display is not None:
            self.display.changed(at)
