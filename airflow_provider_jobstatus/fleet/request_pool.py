"""Tasks that run requests, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeAlias

Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


class RequestPool:
    """
    Runs requests in tasks that belong to no wait: the end of one wait ends no request that others need.

    A task whose request has ended takes the next: a new task for each would cost a tenth of the request.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: list[asyncio.Future[Work]] = []

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return len(self._tasks) - len(self._idle)

    def start(self, work: Work) -> None:
        """Run something. It handles its own errors."""
        if self._idle:
            self._idle.pop().set_result(work)
            return
        # What is logged in an empty context belongs to no wait.
        task = asyncio.get_running_loop().create_task(self._run(work), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self, work: Work) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await work()
            following = loop.create_future()
            self._idle.append(following)
            work = await following
