"""Questions to the vendor that are under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.hooks.base import BatchJobHook

if TYPE_CHECKING:
    from airflow_provider_jobstatus.core.rate_limiter import Budget
    from airflow_provider_jobstatus.fleet.session import Access
    from airflow_provider_jobstatus.fleet.timer import Alarm

T = TypeVar("T")

#: Seconds until it is seen that others who use the same key have made room.
ROOM_CHECK = 0.1


@dataclass(slots=True, eq=False)
class Question:
    """
    One question.

    :param work: asks, and does what the answer wants done.
    :param on_fault: told of a fault of ours in it.
    :param budget: in which it counts while it lasts.
    """

    work: Callable[[], Coroutine[Any, Any, None]]
    on_fault: Callable[[BaseException], None]
    budget: Budget | None


class Questions:
    """
    Runs questions, and lets the key's budget know of each.

    They run in tasks that are nobody's, so that the end of one wait does not end what others are waiting for.
    A task whose question has ended takes the next: to start one for each would cost as much as a tenth of the
    question.

    :param access: way to the vendor.
    :param alarm: rung when there is room again for those in line.

    :ivar in_line: whether somebody waits for room in the budget.
    """

    def __init__(self, access: Access, alarm: Alarm) -> None:
        self.in_line = False
        self._access = access
        self._alarm = alarm
        self._asked: set[Question] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: list[asyncio.Future[Question]] = []

    @property
    def under_way(self) -> int:
        """How many are being answered, by the vendor or by Airflow."""
        return len(self._asked)

    def start(
        self,
        work: Callable[[], Coroutine[Any, Any, None]],
        on_fault: Callable[[BaseException], None],
        budget: Budget | None = None,
    ) -> None:
        """Start a :class:`Question`."""
        question = Question(work, on_fault, budget)
        self._asked.add(question)
        if budget is not None:
            budget.asking += 1
        if self._idle:
            self._idle.pop().set_result(question)
            return
        # What is logged in a context of nobody's belongs to no wait.
        task = asyncio.get_running_loop().create_task(self._run(question), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def wait_for_room(self) -> float:
        """Return the seconds after which to see whether there is room, unless the alarm rings sooner."""
        self.in_line = True
        return ROOM_CHECK

    async def ask(self, hook: BatchJobHook, operation: Operation[T]) -> T | VendorError | SettingsError:
        """Return what an operation brings, or why it brings nothing."""
        budget = self._access.budget
        try:
            answer = await hook.acall(operation, await self._access.client(hook))
        except SettingsError as error:
            return error
        except VendorError as error:
            budget.observe(error, monotonic())
            return error
        budget.observe(None, monotonic())
        return answer

    async def close(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        # One that had no time to begin counts no more, either: others may share its budget.
        for question in list(self._asked):
            self._end(question)

    async def _run(self, question: Question) -> None:
        """Answer questions, one after the other."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                await question.work()
            except BaseException as fault:
                if isinstance(fault, Exception):
                    question.on_fault(fault)
                raise
            finally:
                self._end(question)
                if self.in_line:
                    # Not at once: one turn serves all whose answers come in the same turn of the loop.
                    self._alarm.no_later_than(monotonic())
            following = loop.create_future()
            self._idle.append(following)
            question = await following

    def _end(self, question: Question) -> None:
        self._asked.discard(question)
        if question.budget is not None:
            question.budget.asking -= 1

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        # The fault has been told to whom it concerns.
        if not task.cancelled():
            task.exception()
