"""Shows on Airflow's page for the waiting task how far a wait has come, from the triggerer."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from typing import Any, Self

from airflow.triggers.base import BaseTrigger

from airflow_provider_jobstatus._compat import trigger_can_write
from airflow_provider_jobstatus.fleet.timer import LoopClock
from airflow_provider_jobstatus.waiting.progress import KEY, without_times

log = logging.getLogger(__name__)

#: Least time between two writes of one wait, in seconds.
MIN_PAUSE = 60.0
#: Least time between two writes of all waits together, in seconds: each is a request to Airflow's API server,
#: and costs the triggerer as much as some fifty polls.
MIN_PAUSE_OF_ALL = 0.5
#: Failed writes after which a wait writes no changes, until a write with a sign of life succeeds.
MAX_FAILURES = 3

# At most one thread of a triggerer writes, however slow Airflow is, also for waits that have ended
# meanwhile: name lookups need the threads of the loop.
_thread = ThreadPoolExecutor(1, "jobstatus-progress")


class ProgressWriter:
    """
    Shows what is known while the ``with`` lasts. It never delays nor ends a wait.

    A wait of which nothing changes writes with its signs of life only: the worker has shown what it saw at
    its first poll.

    :param trigger: that waits. One without a task, as under ``dag.test()``, shows nothing.
    :param progress: returns what to show at a point in time.
    :param queue: in which it waits for its turn to write.

    Points in time are of the queue's clock.
    """

    __slots__ = (
        "_changed",
        "_context",
        "_due",
        "_failures",
        "_progress",
        "_queue",
        "_shown",
        "_shown_at",
        "_write",
    )

    def __init__(
        self, trigger: BaseTrigger, progress: Callable[[float], dict[str, Any]], queue: WriteQueue
    ) -> None:
        self._write = _writer(trigger)
        self._queue = queue
        self._progress = progress
        self._context = copy_context()
        self._shown: dict[str, Any] | None = None
        self._shown_at = -math.inf
        self._failures = 0
        self._changed = self._due = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._queue.leave(self)

    def changed(self, at: float) -> None:
        """Take note that there is something new to show."""
        if self._write is not None and self._failures < MAX_FAILURES:
            self._changed = True
            if at - self._shown_at >= MIN_PAUSE:
                self._queue.put(self, is_new=True)

    def visit(self, at: float, due: bool) -> None:
        """
        Show what could not be shown until now.

        :param due: whether to write also if nothing has changed.
        """
        if self._write is None:
            return
        self._due |= due
        if self._changed:
            self.changed(at)
        if self._due:
            self._queue.put(self, is_new=False)

    async def show(self) -> bool:
        """Write if there is something new, or if it is due; returns whether it tried."""
        at = self._shown_at = self._queue.clock.now()
        due, self._changed, self._due = self._due, False, False
        value = self._progress(at)
        facts = without_times(value)
        if self._write is None or (facts == self._shown and not due):
            return False
        loop = asyncio.get_running_loop()
        error: BaseException | None
        try:
            writing = loop.run_in_executor(_thread, self._context.run, self._write, value)
        except (RuntimeError, MemoryError) as refused:
            # No thread can be started.
            error = refused
        else:
            try:
                await asyncio.wait([writing])
            finally:
                # One that has not begun does not begin any more.
                writing.cancel()
            error = writing.exception()
        if error is None:
            self._shown, self._failures = facts, 0
        else:
            # A backend may raise anything, and that does not concern the wait.
            self._failures += 1
            log.info("The progress of a wait cannot be shown now: %s", type(error).__name__)
        return True


class WriteQueue:
    """
    Lets the progress writers of an event loop write one after the other, for as long as one has something to
    write.

    Those with something new and those with a sign of life have their turns alternately, so that neither waits
    for all of the other kind.

    :param clock: of the event loop.
    """

    def __init__(self, clock: LoopClock) -> None:
        self.clock = clock
        self._new: dict[ProgressWriter, None] = {}
        self._status_lines: dict[ProgressWriter, None] = {}
        self._task: asyncio.Task[None] | None = None
        self._writing: ProgressWriter | None = None
        self._free_at = -math.inf

    @property
    def is_writing(self) -> bool:
        """Whether one writes, or waits for its turn."""
        return self._task is not None

    def put(self, progress_writer: ProgressWriter, *, is_new: bool) -> None:
        """Let one write when its turn comes."""
        (self._new if is_new else self._status_lines)[progress_writer] = None
        if self._task is None or self._task.done():
            # What is logged in an empty context belongs to no wait.
            self._task = asyncio.get_running_loop().create_task(self._run(), context=Context())

    async def leave(self, progress_writer: ProgressWriter) -> None:
        """Take one out. What is being written is left to its thread."""
        self._new.pop(progress_writer, None)
        self._status_lines.pop(progress_writer, None)
        if self._writing is progress_writer:
            self._writing = None
        task = self._task
        if task is not None and not (self._new or self._status_lines or self._writing):
            self._task = None
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        while self._new or self._status_lines:
            for waiting in (self._new, self._status_lines):
                if (pause := self._free_at - self.clock.now()) > 0.0:
                    await self.clock.sleep(pause)
                if not waiting:
                    continue
                progress_writer = next(iter(waiting))
                for each in (self._new, self._status_lines):
                    each.pop(progress_writer, None)
                self._writing = progress_writer
                if await progress_writer.show():
                    self._free_at = self.clock.now() + MIN_PAUSE_OF_ALL
                self._writing = None
        self._task = None


def _writer(trigger: BaseTrigger) -> Callable[[dict[str, Any]], None] | None:
    task = getattr(trigger, "task_instance", None)
    if task is None or not trigger_can_write():
        return None

    def write(value: dict[str, Any]) -> None:
        from airflow.providers.common.compat.sdk import XCom

        place = {name: getattr(task, name) for name in ("dag_id", "task_id", "run_id", "map_index")}
        XCom.set(KEY, value, **place)

    return write
