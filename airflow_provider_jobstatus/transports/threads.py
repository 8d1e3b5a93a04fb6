"""Threads, which a machine may refuse to start: at the limit of a container's processes, or of its memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from airflow_provider_jobstatus.core.errors import TransportError

T = TypeVar("T")

#: The text of such an error.
EXHAUSTED = "no thread can be started here now; the limit of processes or of memory may be reached"


def is_exhaustion(error: BaseException) -> bool:
    """Return whether an error says that there is no thread, or no memory, to be had."""
    # Python has no class of its own for the first.
    return isinstance(error, MemoryError) or "can't start new thread" in str(error)


async def in_thread(call: Callable[..., T], *arguments: object) -> T:
    """
    Return what a blocking call returns, without holding up the event loop.

    :raises TransportError: no thread can be started for it, or there is no memory: another try may do.
    """
    try:
        return await asyncio.to_thread(call, *arguments)
    except (RuntimeError, MemoryError) as error:
        if not is_exhaustion(error):
            raise
        raise TransportError(EXHAUSTED, vendor="Airflow") from None
