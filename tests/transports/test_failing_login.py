"""A login that fails is shared by those who queue for it, as a token is."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from airflow_provider_jobstatus.core.errors import ServerError, VendorError
from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.support.asking import asking

SLOW_FAILURE = {"http": 503, "delay_seconds": 0.3}


def logins(sandbox: Sandbox) -> int:
    return sum(request["origin"] == "auth" for request in sandbox.requests)


def test_those_who_queue_in_the_triggerer_share_a_failure_and_later_ones_try_again(sandbox: Sandbox) -> None:
    sandbox.put_job("ruler", "site/job", script=["complete"])
    sandbox.put_answers("/v1/login", [SLOW_FAILURE], method="POST")
    hook = RulerHook()

    async def many() -> list[Any]:
        async with hook.aconnect() as client:
            flows = [client.run(asking(hook, "site/job")) for _ in range(50)]
            ends = await asyncio.gather(*flows, return_exceptions=True)
            return [*ends, await client.run(asking(hook, "site/job"))]

    *ends, last = asyncio.run(many())

    assert {type(end) for end in ends} == {ServerError}
    assert last.state == "succeeded"
    assert logins(sandbox) == 2


def test_those_who_queue_on_a_worker_share_a_failure(sandbox: Sandbox) -> None:
    sandbox.put_job("ruler", "site/job", script=["complete"])
    sandbox.put_answers("/v1/login", [SLOW_FAILURE], method="POST")
    ends: list[str] = []
    together = threading.Barrier(8)

    def use() -> None:
        hook = RulerHook()
        with hook.connect() as client:
            together.wait()
            try:
                ends.append(client.run(asking(hook, "site/job")).state)
            except VendorError as error:
                ends.append(type(error).__name__)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ends == ["ServerError"] * 8
    assert logins(sandbox) == 1
