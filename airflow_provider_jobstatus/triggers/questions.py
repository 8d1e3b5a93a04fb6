"""Questions to the vendor that are under way, each in a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.core.http import Flow
from airflow_provider_jobstatus.hooks.base import BatchJobHook

if TYPE_CHECKING:
    from airflow_provider_jobstatus.core.budget import Budget
    from airflow_provider_jobstatus.triggers.access import Access

T = TypeVar("T")


class Questions:
    """
    Runs questions, and lets the key's budget know of each.

    The tasks are nobody's, so that the end of one wait does not end what others are waiting for.

    :param access: way to the vendor.
    :param on_end: called when one has ended.

    :ivar under_way: how many are being answered, by the vendor or by Airflow.
    """

    def __init__(self, access: Access, on_end: Callable[[], None]) -> None:
        self.under_way = 0
        self._access = access
        self._on_end = on_end
        self._tasks: dict[asyncio.Task[None], tuple[Callable[[BaseException], None], Budget | None]] = {}

    def start(
        self,
        work: Coroutine[Any, Any, None],
        on_fault: Callable[[BaseException], None],
        budget: Budget | None = None,
    ) -> None:
        """
        Start a task.

        :param on_fault: told of a fault of ours in it.
        :param budget: in which it counts while it lasts.
        """
        # What is logged in a context of nobody's belongs to no wait.
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self.under_way += 1
        if budget is not None:
            budget.asking += 1
        self._tasks[task] = on_fault, budget
        task.add_done_callback(self._ended)

    async def ask(self, hook: BatchJobHook, flow: Flow[T]) -> T | VendorError | SettingsError:
        """Return what a conversation brings, or why it brings nothing."""
        budget = self._access.budget
        answer = await self._access.run(hook, flow)
        if not isinstance(answer, SettingsError):
            budget.observe(answer if isinstance(answer, VendorError) else None, monotonic())
        return answer

    async def close(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        on_fault, budget = self._tasks.pop(task)
        self.under_way -= 1
        if budget is not None:
            budget.asking -= 1
        if not task.cancelled() and (fault := task.exception()) is not None:
            on_fault(fault)
        self._on_end()
