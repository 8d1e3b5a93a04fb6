"""How far a wait has come, on Airflow's page for the waiting task: a small XCom."""

from __future__ import annotations

import asyncio
import logging
from asyncio import sleep
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from importlib.metadata import version
from typing import Any, ClassVar, Self

from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.triggers.base import BaseTrigger

from airflow_provider_jobstatus.core.chronicle import FEW
from airflow_provider_jobstatus.core.poller import JobPoller

log = logging.getLogger(__name__)

#: Key of the XCom.
KEY = "progress"
#: Least time between two writes of one wait, in seconds.
MIN_PAUSE = 60.0
#: Least time between two writes of all waits together, in seconds: each is a request to Airflow's API server.
MIN_PAUSE_OF_ALL = 0.5
#: Failed writes after which a wait writes no more.
MAX_FAILURES = 3
#: Before, a call to Airflow from a thread of the triggerer may be answered with another one's reply.
SAFE_SINCE = (3, 2, 2)

# At most one thread of a triggerer writes, however slowly Airflow answers, also for waits that have ended
# meanwhile: name lookups need the threads of the loop.
_thread = ThreadPoolExecutor(1, "jobstatus-progress")


class Display:
    """
    Shows what the pollers know while the ``with`` lasts. It never delays nor ends a wait.

    :param trigger: that waits. One without a task, as under ``dag.test()``, shows nothing.
    :param pollers: of its jobs.
    """

    #: How many there are.
    shown: ClassVar[int] = 0

    def __init__(self, trigger: BaseTrigger, pollers: Sequence[JobPoller]) -> None:
        self._write = _writer(trigger)
        self._pollers = pollers
        self._changed: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._write is not None:
            Display.shown += 1
            self._changed = asyncio.Event()
            self._task = asyncio.create_task(self._show(self._write, self._changed))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            Display.shown -= 1
            self._task.cancel()
            # Whatever it ended with is no matter of the wait.
            await asyncio.wait([self._task])
            if not self._task.cancelled() and (error := self._task.exception()):
                log.info("The progress of a wait could not be shown: %s", type(error).__name__)

    def changed(self) -> None:
        """Say that a poller may know something new."""
        if self._changed is not None:
            self._changed.set()

    async def _show(self, write: Callable[[dict[str, Any]], None], changed: asyncio.Event) -> None:
        shown = None
        failures = 0
        loop = asyncio.get_running_loop()
        while failures < MAX_FAILURES:
            await changed.wait()
            changed.clear()
            if (value := summary(self._pollers)) != shown:
                try:
                    await loop.run_in_executor(_thread, copy_context().run, write, value)
                    shown = value
                except (AirflowException, AirflowRuntimeError, OSError, RuntimeError) as error:
                    failures += 1
                    log.info("The progress of a wait cannot be shown now: %s", type(error).__name__)
            # Also after a look that brought nothing new: each asks every poller.
            await sleep(max(MIN_PAUSE, MIN_PAUSE_OF_ALL * Display.shown))


def summary(pollers: Sequence[JobPoller]) -> dict[str, Any]:
    """
    Return how far a wait has come.

    :return: ``{"ended", "jobs"}``, and for a few jobs ``"status"``: by job id what is known of each.
    """
    ended = sum(poller.event is not None for poller in pollers)
    value: dict[str, Any] = {"ended": ended, "jobs": len(pollers)}
    if len(pollers) <= FEW:
        value["status"] = {
            poller.job_id: poller.last_status and poller.last_status.as_dict() for poller in pollers
        }
    return value


def _writer(trigger: BaseTrigger) -> Callable[[dict[str, Any]], None] | None:
    task = getattr(trigger, "task_instance", None)
    if task is None or not _safe():
        return None

    def write(value: dict[str, Any]) -> None:
        from airflow.providers.common.compat.sdk import XCom

        place = {name: getattr(task, name) for name in ("dag_id", "task_id", "run_id", "map_index")}
        XCom.set(KEY, value, **place)

    return write


@cache
def _safe() -> bool:
    numbers = version("apache-airflow-core").split(".")[:3]
    return tuple(int(number) for number in numbers if number.isdigit()) >= SAFE_SINCE
