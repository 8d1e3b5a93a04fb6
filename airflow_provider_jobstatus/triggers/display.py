"""Shows on Airflow's page for the waiting task how far a wait has come, from the triggerer."""

from __future__ import annotations

import asyncio
import logging
from asyncio import sleep
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Self
from weakref import WeakKeyDictionary

from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.triggers.base import BaseTrigger

from airflow_provider_jobstatus._compat import trigger_can_write
from airflow_provider_jobstatus.core.poller import JobPoller
from airflow_provider_jobstatus.core.progress import KEY, summary

log = logging.getLogger(__name__)

#: Least time between two writes of one wait, in seconds.
MIN_PAUSE = 60.0
#: Least time between two writes of all waits together, in seconds: each is a request to Airflow's API server,
#: and costs the triggerer as much as some fifty questions.
MIN_PAUSE_OF_ALL = 0.5
#: Failed writes after which a wait writes no more.
MAX_FAILURES = 3

# At most one thread of a triggerer writes, however slowly Airflow answers, also for waits that have ended
# meanwhile: name lookups need the threads of the loop.
_thread = ThreadPoolExecutor(1, "jobstatus-progress")
# Whose turn it is to write.
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


class Display:
    """
    Shows what the pollers know while the ``with`` lasts. It never delays nor ends a wait.

    A wait of which nothing changes costs nothing: the worker has shown what it saw at its first look.

    :param trigger: that waits. One without a task, as under ``dag.test()``, shows nothing.
    :param pollers: of its jobs.
    """

    def __init__(self, trigger: BaseTrigger, pollers: Sequence[JobPoller]) -> None:
        self._write = _writer(trigger)
        self._pollers = pollers
        self._changed: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            # Whatever it ended with is no matter of the wait.
            await asyncio.wait([self._task])
            if not self._task.cancelled() and (error := self._task.exception()):
                log.info("The progress of a wait could not be shown: %s", type(error).__name__)

    def changed(self) -> None:
        """Say that there is something new to be shown."""
        if self._changed is not None:
            self._changed.set()
        elif self._write is not None:
            self._changed = asyncio.Event()
            self._changed.set()
            self._task = asyncio.create_task(self._show(self._write, self._changed))

    async def _show(self, write: Callable[[dict[str, Any]], None], changed: asyncio.Event) -> None:
        shown = None
        failures = 0
        loop = asyncio.get_running_loop()
        turn = _turns.setdefault(loop, asyncio.Lock())
        while failures < MAX_FAILURES:
            await changed.wait()
            async with turn:
                changed.clear()
                if (value := summary(self._pollers)) != shown:
                    try:
                        await loop.run_in_executor(_thread, copy_context().run, write, value)
                        shown = value
                    except (AirflowException, AirflowRuntimeError, OSError, RuntimeError) as error:
                        failures += 1
                        log.info("The progress of a wait cannot be shown now: %s", type(error).__name__)
                    await sleep(MIN_PAUSE_OF_ALL)
            # Also after a look that brought nothing new: each asks every poller.
            await sleep(MIN_PAUSE)


def _writer(trigger: BaseTrigger) -> Callable[[dict[str, Any]], None] | None:
    task = getattr(trigger, "task_instance", None)
    if task is None or not trigger_can_write():
        return None

    def write(value: dict[str, Any]) -> None:
        from airflow.providers.common.compat.sdk import XCom

        place = {name: getattr(task, name) for name in ("dag_id", "task_id", "run_id", "map_index")}
        XCom.set(KEY, value, **place)

    return write
