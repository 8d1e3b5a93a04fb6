"""A machine on which, for a moment, no thread can be started."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

REFUSAL = "can't start new thread"


def refuse_threads(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception | None = None) -> list[str]:
    """
    Refuse one start of a thread.

    :param name: how the thread's name begins.
    :param error: that says so.
    :return: the names of threads refused so far: one at most.
    """
    refused: list[str] = []
    start = threading.Thread.start

    def start_or_refuse(thread: threading.Thread) -> None:
        if thread.name.startswith(name) and not refused:
            refused.append(thread.name)
            raise error or RuntimeError(REFUSAL)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_refuse)
    return refused


def refuse_work(monkeypatch: pytest.MonkeyPatch, name: str, times: range = range(1)) -> list[str]:
    """
    Refuse work for want of a thread, as an executor does whose threads are all busy.

    :param name: of a function that the work is, or has.
    :param times: which of its calls, from 0.
    :return: filled with what was refused.
    """
    refused: list[str] = []
    calls = count()
    submit = ThreadPoolExecutor.submit

    def submit_or_refuse(pool: ThreadPoolExecutor, *work: Any, **options: Any) -> Any:
        if name in repr(work) and next(calls) in times:
            refused.append(name)
            raise RuntimeError(REFUSAL)
        return submit(pool, *work, **options)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit_or_refuse)
    return refused
