"""One trigger's wait, as the fleet of all waits on a connection sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import copy_context

from airflow_provider_jobstatus.core.chronicle import Chronicle
from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.core.goal import Goal
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.core.poller import JobPoller
from airflow_provider_jobstatus.core.wait import JobEvent, News
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.triggers.display import Display


class Wait:
    """
    Tells the pollers of one trigger what became of the questions, until the wait is over.

    It is told from the tasks of the fleet, and writes where its trigger would: Airflow finds a trigger's log
    by the context that it runs in.

    :param pollers: of the trigger's jobs.
    :param goal: when the wait is over, if not with the last job.
    :param chronicle: what is written of it.
    :param display: told that there is something new to show.
    :param offset: epoch seconds less the fleet's own clock, as of the beginning of this wait.
    :param account: digest of the account that its jobs are of; empty for any.

    :ivar over: done when the wait is over; fails if a fault of ours has ended it.
    """

    def __init__(
        self,
        pollers: Sequence[JobPoller],
        goal: Goal,
        chronicle: Chronicle,
        display: Display,
        offset: float,
        account: str = "",
    ) -> None:
        self.pollers = pollers
        self.offset = offset
        self.account = account
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._goal = goal
        self._chronicle = chronicle
        self._display = display
        self._waiting = len(pollers)
        self._context = copy_context()

    def may_ask(self, poller: JobPoller, at: float) -> bool:
        """
        Return whether to ask about a job now; the wait for it may end instead.

        :param at: by the fleet's clock, as all points in time here.
        """
        if poller.may_ask(at + self.offset):
            return True
        if poller.event is not None:
            self._context.run(self._ended, poller.event)
        return False

    def belongs(self, poller: JobPoller, hook: BatchJobHook, at: float) -> bool:
        """Return whether a hook still leads to the account of this wait's jobs; if not, the wait ends."""
        if not self.account or self.account == hook.account_digest:
            return True
        try:
            hook.check_account(self.account)
        except SettingsError as error:
            self.observe(poller, error, at)
        return False

    def observe(self, poller: JobPoller, answer: JobStatus | VendorError | SettingsError, at: float) -> None:
        """Take in what a question about a job brought."""
        try:
            news = poller.observe(answer, at + self.offset)
            if news is not None:
                self._context.run(self._tell, news, answer)
            if poller.event is not None:
                self._context.run(self._ended, poller.event)
        except Exception as fault:  # noqa: BLE001 - handed to the trigger's outer boundary; others wait on
            self.fail(fault)

    def warn(self, text: str) -> None:
        """Write a line into the trigger's log."""
        self._context.run(self._chronicle.warn, text)

    def fail(self, fault: BaseException) -> None:
        """End the wait by a fault of ours."""
        if not self.over.done():
            self.over.set_exception(fault)

    def _tell(self, news: News, answer: JobStatus | VendorError | SettingsError) -> None:
        self._chronicle.tell(news)
        if isinstance(answer, JobStatus):
            self._display.changed()

    def _ended(self, event: JobEvent) -> None:
        if self.over.done():
            return
        self._chronicle.ended()
        self._waiting -= 1
        if self._goal.decided_by(event):
            for other in self.pollers:
                if other.event is None:
                    other.leave()
            self._waiting = 0
        if self._waiting:
            self._display.changed()
        else:
            self.over.set_result(None)
