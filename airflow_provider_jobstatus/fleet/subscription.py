"""One trigger's wait, as its connection's driver sees it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Any

from airflow_provider_jobstatus.fleet.actions import JobEnded, Log, WaitEnded, Warn
from airflow_provider_jobstatus.fleet.progress_writer import ProgressWriter
from airflow_provider_jobstatus.waiting.poller import JobPoller
from airflow_provider_jobstatus.waiting.progress import summary
from airflow_provider_jobstatus.waiting.spec import WaitSpec
from airflow_provider_jobstatus.waiting.status_lines import StatusLines, own_polls, sign
from airflow_provider_jobstatus.waiting.wait_log import WaitLog

log = logging.getLogger(__name__)


class Subscription:
    """
    Writes what becomes of a wait into its trigger's log, and knows when the wait is over.

    Airflow finds a trigger's log by the context that it runs in.

    :param spec: of the wait; its points in time, and all others here, are those of the runtime's clock.
    :param pollers: of the trigger's jobs.
    :param wait_log: what is written of it.
    :param now: when it begins.

    :ivar progress_writer: is notified of changes to show, if there is one.
    :ivar list_times: returns when the list that serves a job was read last, and is read next, if one does.
    :ivar over: done when the wait is over; fails if a fault has ended it.
    """

    __slots__ = (
        "_context",
        "_open",
        "_status_lines",
        "_wait_log",
        "list_times",
        "over",
        "pollers",
        "progress_writer",
        "spec",
    )

    def __init__(self, spec: WaitSpec, pollers: Sequence[JobPoller], wait_log: WaitLog, now: float) -> None:
        self.spec = spec
        self.pollers = pollers
        self.progress_writer: ProgressWriter | None = None
        self.list_times: Callable[[str], tuple[float, float] | None] | None = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wait_log = wait_log
        self._open = len(pollers)
        self._status_lines = StatusLines(spec.started_at, now)
        self._context = copy_context()

    def take_in(self, action: Log | Warn | JobEnded | WaitEnded, now: float) -> None:
        """Write what has happened into the trigger's log, and show it."""
        shows = False
        match action:
            case JobEnded():
                self._context.run(self._wait_log.ended, action.event)
                self._open -= 1
                shows = self._open > 0
            case WaitEnded():
                self.end(action.fault)
            case Log():
                self._context.run(self._wait_log.tell, action.entry)
                shows = action.is_status
            case Warn():
                self._context.run(self._wait_log.warn, action.text)
        if shows and self.progress_writer is not None:
            self.progress_writer.changed(now)

    def end(self, fault: BaseException | None = None) -> None:
        """Let the trigger go on: the wait is over, or a fault has ended it."""
        if self.over.done():
            return
        if fault is None:
            self.over.set_result(None)
        else:
            self.over.set_exception(fault)

    def visit(self, now: float) -> None:
        """Give a sign of life, if one is due."""
        if self.over.done():
            return
        try:
            due = self._status_lines.due(self.pollers, now)
            if due:
                self._context.run(self._wait_log.sign, sign(self.pollers, now, self._polls))
            if self.progress_writer is not None:
                self.progress_writer.visit(now, due)
        except Exception:
            log.exception("A wait could give no sign of life; it goes on")

    def progress(self, now: float) -> dict[str, Any]:
        """Return how far the wait has come."""
        return summary(self.pollers, now, self._polls)

    def _polls(self, poller: JobPoller) -> tuple[float | None, float]:
        times = None if self.list_times is None else self.list_times(poller.job_id)
        return own_polls(poller) if times is None else times
