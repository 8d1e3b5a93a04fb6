"""Carries out what the scheduler of a connection decides: the only place where it meets asyncio."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from contextvars import Context
from functools import partial
from itertools import count
from typing import Any, cast

from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.core.jobs import JobStatus
from airflow_provider_jobstatus.fleet.actions import (
    Action,
    JobEnded,
    LoadConnection,
    Log,
    Poll,
    ReadList,
    WaitEnded,
    WaitFailed,
    Warn,
)
from airflow_provider_jobstatus.fleet.connection_session import ConnectionSession
from airflow_provider_jobstatus.fleet.polled_vendor import VendorSession
from airflow_provider_jobstatus.fleet.request_pool import RequestPool
from airflow_provider_jobstatus.fleet.scheduler import Scheduler
from airflow_provider_jobstatus.fleet.subscription import Subscription
from airflow_provider_jobstatus.fleet.timer import LoopClock, Timer
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.waiting.session_policy import Keys

log = logging.getLogger(__name__)


class Driver:
    """
    Drives the scheduler of one connection.

    :param conn_id: of the connection.
    :param clock: of the event loop.
    :param keys: what is known of keys.
    """

    def __init__(self, conn_id: str, clock: LoopClock, keys: Keys) -> None:
        self._clock = clock
        self._scheduler = Scheduler(conn_id)
        self._keys = keys
        self._session = ConnectionSession(conn_id)
        self._pool = RequestPool()
        self._timer = Timer(clock, self._turn)
        self._subscriptions: dict[int, Subscription] = {}
        self._numbers = count()
        self._lookups: set[asyncio.Task[Any]] = set()
        self._do: dict[type[Action], Callable[[Any], None]] = {
            Poll: lambda action: self._pool.start(partial(self._poll, action)),
            ReadList: lambda action: self._pool.start(partial(self._read_list, action)),
            LoadConnection: lambda action: self._pool.start(partial(self._load, action.attempt)),
            Log: self._log,
            Warn: self._warn,
            JobEnded: self._job_ended,
            WaitEnded: self._wait_ended,
            WaitFailed: self._wait_ended,
        }

    @property
    def in_use(self) -> set[str]:
        """Digests of the key and the settings that its polls use."""
        session = self._scheduler.session
        return set() if session is None else {session.hook.key_digest, session.hook.settings_digest}

    @property
    def is_busy(self) -> bool:
        """Whether a response of the vendor or of Airflow is under way."""
        return self._pool.in_flight > 0

    async def serve(self, subscription: Subscription) -> None:
        """Return when a wait is over. A fault that ended it is raised."""
        wait_id = next(self._numbers)
        self._subscriptions[wait_id] = subscription
        subscription.list_times = self._scheduler.list_times
        self._scheduler.join(wait_id, subscription.spec, subscription.pollers, self._clock.now())
        self._wake()
        try:
            await subscription.over
        finally:
            self._subscriptions.pop(wait_id, None)
            self._scheduler.leave(wait_id)
            self._wake()

    async def close(self) -> None:
        """End what is under way, and close the sessions."""
        self._timer.set(math.inf)
        await self._pool.close()
        self._scheduler.close()
        await self._session.close()

    def _wake(self) -> None:
        self._timer.no_later_than(self._scheduler.wake_at)

    def _turn(self) -> None:
        """Do what is due, and set the timer for what comes next."""
        self._timer.hold()
        try:
            for action in self._scheduler.next(self._clock.now()):
                self._do[type(action)](action)
        except BaseException as fault:
            for subscription in list(self._subscriptions.values()):
                subscription.end(fault)
            raise
        finally:
            self._timer.set(self._scheduler.wake_at)

    # -- requests

    async def _poll(self, action: Poll) -> None:
        hook = cast(BatchJobHook, action.session.hook)
        response: JobStatus | VendorError | SettingsError
        try:
            question = action.question or hook.status_operation(hook.parse_job_id(action.job_id))
            response = await self._session.run(hook, question)
        except SettingsError as malformed:
            response = malformed
        except BaseException as fault:
            if isinstance(fault, Exception):
                self._scheduler.poll_failed(action.job_id, fault, self._clock.now())
                self._wake()
            raise
        self._scheduler.answered(action.job_id, response, self._clock.now())
        self._wake()

    async def _read_list(self, action: ReadList) -> None:
        hook = cast(BatchJobHook, action.session.hook)
        try:
            response = await self._session.run(hook, hook.list_operation(action.name))
        except BaseException as fault:
            if isinstance(fault, Exception):
                log.exception("The list %r cannot be read: each job is polled by itself", action.name)
                self._scheduler.list_failed(action.name, self._clock.now())
                self._wake()
            raise
        self._scheduler.list_read(action.name, response, self._clock.now())
        self._wake()

    async def _load(self, attempt: int) -> None:
        # The end of the waits must not come in the middle of a conversation with Airflow, of which 3.1 would
        # hand the rest to the next one; nor is a lookup ended that takes too long.
        lookup = asyncio.get_running_loop().create_task(self._session.read(), context=Context())
        self._lookups.add(lookup)
        lookup.add_done_callback(self._lookups.discard)
        try:
            found = await asyncio.shield(lookup)
        except BaseException as fault:
            if isinstance(fault, Exception):
                self._scheduler.fail(fault)
                self._wake()
            raise
        if isinstance(found, BatchJobHook):
            before = self._scheduler.session
            session: VendorSession = self._keys.session(found, before, anew=before is None)
            self._scheduler.loaded(session, attempt, self._clock.now())
        elif (line := self._scheduler.not_loaded(found, attempt, self._clock.now())) is not None:
            log.warning(line)
        self._wake()

    # -- waits

    def _log(self, action: Log) -> None:
        if (subscription := self._subscriptions.get(action.wait_id)) is not None:
            subscription.log(action.entry, self._clock.now(), is_status=action.is_status)

    def _warn(self, action: Warn) -> None:
        if (subscription := self._subscriptions.get(action.wait_id)) is not None:
            subscription.warn(action.text)

    def _job_ended(self, action: JobEnded) -> None:
        if (subscription := self._subscriptions.get(action.wait_id)) is not None:
            subscription.job_ended(action.event, self._clock.now())

    def _wait_ended(self, action: WaitEnded | WaitFailed) -> None:
        if (subscription := self._subscriptions.get(action.wait_id)) is not None:
            subscription.end(action.fault if isinstance(action, WaitFailed) else None)
