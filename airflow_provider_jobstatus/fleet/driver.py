"""Carries out what the scheduler of a connection decides: the only place where it meets asyncio."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from contextvars import Context
from functools import partial
from typing import TypeVar

from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.core.jobs import Listing
from airflow_provider_jobstatus.fleet.actions import Action, LoadConnection, Poll, ReadList
from airflow_provider_jobstatus.fleet.connection_session import ConnectionSession
from airflow_provider_jobstatus.fleet.request_pool import RequestPool
from airflow_provider_jobstatus.fleet.scheduler import Scheduler
from airflow_provider_jobstatus.fleet.subscription import Subscription
from airflow_provider_jobstatus.fleet.timer import LoopClock, Timer
from airflow_provider_jobstatus.fleet.vendor_session import VendorSession
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.waiting.session_policy import Keys

log = logging.getLogger(__name__)
T = TypeVar("T")


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
        self._lookups: set[asyncio.Task[object]] = set()

    @property
    def in_use(self) -> set[str]:
        """Digests of the key and the settings that its polls use."""
        session = self._scheduler.session
        return set() if session is None else {session.hook.key_digest, session.hook.settings_digest}

    @property
    def is_busy(self) -> bool:
        """Whether a response of the vendor or of Airflow is under way."""
        return self._pool.in_flight > 0

    @property
    def has_waits(self) -> bool:
        """Whether it serves any wait."""
        return bool(self._subscriptions)

    def join(self, wait_id: int, subscription: Subscription) -> None:
        """
        Serve a wait until it leaves.

        :param wait_id: its number, which no other wait has had.
        """
        self._subscriptions[wait_id] = subscription
        subscription.list_times = self._scheduler.list_times
        self._scheduler.join(wait_id, subscription.spec, subscription.pollers, self._clock.now())
        self._wake()

    def leave(self, wait_id: int) -> None:
        """Serve a wait no more."""
        self._subscriptions.pop(wait_id, None)
        self._scheduler.leave(wait_id)
        self._wake()

    async def close(self) -> None:
        """End what is under way, and close the sessions."""
        self._timer.set(math.inf)
        # First, as the rest may be cancelled: others may use the key.
        self._scheduler.close()
        try:
            await self._pool.close()
        finally:
            await self._session.close()

    def _wake(self) -> None:
        self._timer.no_later_than(self._scheduler.wake_at)

    def _turn(self) -> None:
        """Do what is due, and set the timer for what comes next."""
        self._timer.hold()
        try:
            for action in self._scheduler.next(self._clock.now()):
                self._do(action)
        except BaseException as fault:
            for subscription in list(self._subscriptions.values()):
                subscription.end(fault)
            raise
        finally:
            self._timer.set(self._scheduler.wake_at)

    def _do(self, action: Action) -> None:
        match action:
            case Poll():
                self._pool.start(partial(self._poll, action))
            case ReadList(name, session):
                self._start(
                    partial(self._read_list, name, session),
                    partial(self._scheduler.list_read, name),
                    partial(self._list_failed, name),
                )
            case LoadConnection(attempt):
                self._start(self._load, partial(self._loaded, attempt), self._load_failed)
            case _:
                if (subscription := self._subscriptions.get(action.wait_id)) is not None:
                    subscription.take_in(action, self._clock.now())

    # -- requests

    async def _poll(self, action: Poll) -> None:
        # As _start() does, but without a function for each step: most requests are polls.
        job_id, operation, session = action
        try:
            response = await self._session.run(session.hook, operation)
            self._scheduler.answered(job_id, response, self._clock.now())
        except Exception as fault:  # noqa: BLE001 - ends the waits that it concerns
            self._scheduler.poll_failed(job_id, fault, self._clock.now())
        self._wake()

    def _start(
        self,
        request: Callable[[], Awaitable[T]],
        ended: Callable[[T, float], object],
        failed: Callable[[Exception, float], object],
    ) -> None:
        """
        Run a request, and report how it ended and when.

        :param failed: reports a fault of the provider, or of a hook from elsewhere.
        """

        async def run() -> None:
            try:
                ended(await request(), self._clock.now())
            except Exception as fault:  # noqa: BLE001 - ends the waits that it concerns
                failed(fault, self._clock.now())
            self._wake()

        self._pool.start(run)

    async def _read_list(self, name: str, session: VendorSession) -> Listing | VendorError | SettingsError:
        return await self._session.run(session.hook, session.hook.list_operation(name))

    def _list_failed(self, name: str, fault: Exception, now: float) -> None:
        log.error("The list %r cannot be read: each job is polled by itself", name, exc_info=fault)
        self._scheduler.list_failed(name, now)

    async def _load(self) -> BatchJobHook | VendorError | SettingsError:
        # The end of the waits must not come in the middle of a conversation with Airflow, of which 3.1 would
        # hand the rest to the next one; nor is a lookup ended that takes too long.
        lookup = asyncio.get_running_loop().create_task(self._session.read(), context=Context())
        self._lookups.add(lookup)
        lookup.add_done_callback(self._lookups.discard)
        return await asyncio.shield(lookup)

    def _load_failed(self, fault: Exception, _: float) -> None:
        self._scheduler.fail(fault)

    def _loaded(self, attempt: int, found: BatchJobHook | VendorError | SettingsError, now: float) -> None:
        if isinstance(found, BatchJobHook):
            self._scheduler.loaded(self._keys.session(found, self._scheduler.session), attempt, now)
        elif (line := self._scheduler.not_loaded(found, attempt, now)) is not None:
            log.warning(line)
