"""
A process that does what a triggerer does: inflates triggers from what was stored, runs them in one event loop
and reports their events.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

#: Instead of a wait's number: the host holds its first waits.
UP = -1


def main(pipe: Connection, env: Mapping[str, str], log: str) -> None:
    """Run triggers until the pipe is closed.

    :param pipe: brings `[number, class path, arguments]` as JSON; takes `[number, event]`, once `[UP, None]`
    :param env: variables of the environment
    :param log: file for whatever is printed
    """
    os.environ.update(env)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    asyncio.run(_host(pipe))


async def _host(pipe: Connection) -> None:
    running: set[asyncio.Task[None]] = set()
    up = False
    while True:
        try:
            waits = json.loads(await asyncio.to_thread(pipe.recv_bytes))
        except EOFError:
            return
        for number, path, arguments in waits:
            module, _, name = path.rpartition(".")
            trigger = getattr(import_module(module), name)(**arguments)
            task = asyncio.create_task(_run(number, trigger, pipe))
            running.add(task)
            task.add_done_callback(running.discard)
        if not up:
            # By now each of them has had its turn once.
            await asyncio.sleep(0)
            pipe.send_bytes(json.dumps([UP, None]).encode())
            up = True


async def _run(number: int, trigger: Any, pipe: Connection) -> None:
    async for event in trigger.run():
        pipe.send_bytes(json.dumps([number, event.payload]).encode())
