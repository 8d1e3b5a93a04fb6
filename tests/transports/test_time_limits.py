"""Deadlines of calls in an event loop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_jobstatus.transports.time_limits import TimeLimits


async def turns(number: int = 10) -> None:
    """Let the loop go on for a while."""
    for _ in range(number):
        await asyncio.sleep(0)


def timers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the timers that the running loop is asked for from now on."""
    made: list[Any] = []
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def noting(*arguments: Any, **named: Any) -> asyncio.TimerHandle:
        made.append(call_later(*arguments, **named))
        return made[-1]

    monkeypatch.setattr(loop, "call_later", noting)
    return made


def test_a_call_is_ended_at_its_deadline_and_one_that_is_forgotten_is_not() -> None:
    async def calls() -> None:
        deadlines, now = TimeLimits(0.0), asyncio.get_running_loop().time()
        late, ended = asyncio.timeout(None), asyncio.timeout(None)

        async def call() -> None:
            async with late, ended:
                deadlines.set(ended, now)
                deadlines.forget(ended)
                deadlines.set(late, now + 3600)
                await turns()
                assert not late.expired()
                deadlines.set(late, now)
                await asyncio.Event().wait()

        with pytest.raises(TimeoutError):
            await call()
        assert (late.expired(), ended.expired()) == (True, False)
        deadlines.close()

    asyncio.run(calls())


def test_one_timer_looks_after_all_calls_and_none_is_left_after_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def calls() -> None:
        made, deadlines = timers(monkeypatch), TimeLimits(60.0)
        far = asyncio.get_running_loop().time() + 3600

        async def call() -> None:
            async with asyncio.timeout(None) as patience:
                deadlines.set(patience, far)
                await turns()
                deadlines.set(patience, far + 1)
                await turns()
                deadlines.forget(patience)

        await asyncio.gather(*(call() for _ in range(100)))
        assert len(made) == 1
        deadlines.close()
        assert made[0].cancelled()

        made.clear()
        quick = TimeLimits(0.0)
        async with asyncio.timeout(None) as patience:
            quick.set(patience, far)
            quick.forget(patience)
            await turns()
        assert len(made) == 1

    asyncio.run(calls())
