"""Drive conversations with ``aiohttp``: in the triggerer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import NoneType
from typing import TypeVar
from weakref import WeakKeyDictionary

import aiohttp
import yarl

from airflow_provider_jobstatus.core.errors import SendError, SettingsError, TransportError, VendorError
from airflow_provider_jobstatus.core.http import Request, Response
from airflow_provider_jobstatus.core.operation import Answer, Conversation, log_in, resume
from airflow_provider_jobstatus.core.rate_limiter import MAX_CALLS
from airflow_provider_jobstatus.core.tokens import Exchange, TokenSlot
from airflow_provider_jobstatus.transports.aio_reply import checked_headers, read_body
from airflow_provider_jobstatus.transports.connector import Connector, Route, route
from airflow_provider_jobstatus.transports.environment import CallLimits, default_headers, tls_context
from airflow_provider_jobstatus.transports.failures import LOGIN_BUSY, no_reply, reason
from airflow_provider_jobstatus.transports.heads import (
    MAX_LINE_BYTES,
)
from airflow_provider_jobstatus.transports.proxies import (
    check_proxy_login,
    proxy_for,
    proxy_secrets,
    through_proxy,
)
from airflow_provider_jobstatus.transports.threads import EXHAUSTED, in_thread, is_exhaustion
from airflow_provider_jobstatus.transports.time_limits import TimeLimits

T = TypeVar("T")

#: Seconds for which an idle connection is kept: longer than the usual time between two polls.
KEEP_ALIVE = 90.0


# An asyncio lock belongs to one loop, a token slot to the whole process.
_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakKeyDictionary[TokenSlot, asyncio.Lock]]
_locks = WeakKeyDictionary()


async def _no_mask(token: str) -> None:
    pass


class AioClient:
    """
    A session that drives conversations, any number at a time. Bodies are read whole: nothing is streamed in a
    triggerer.

    :param limits: how long a call may take.
    :param ca: file of certificate authorities, or None for the environment's.
    :param mask: called with every new token before it is used.
    """

    def __init__(
        self,
        limits: CallLimits | None = None,
        ca: str | None = None,
        mask: Callable[[str], Awaitable[None]] = _no_mask,
    ) -> None:
        self._limits = limits or CallLimits()
        self._ca = ca
        self._mask = mask
        self._time_limits = TimeLimits(min(self._limits.total, self._limits.connect, self._limits.read))
        # By scheme and host: the environment is read once for each.
        self._proxies: dict[tuple[str, str], str | None] = {}

    async def __aenter__(self) -> AioClient:
        # Reading some hundred certificates takes the loop's time.
        try:
            tls = await in_thread(tls_context, self._ca)
        except SettingsError as error:
            # Unlike on a worker: the triggerer's environment may be mended while the wait lasts.
            raise TransportError(str(error), vendor="TLS") from None
        self._session = aiohttp.ClientSession(
            connector=Connector(ssl=tls, limit=MAX_CALLS, keepalive_timeout=KEEP_ALIVE),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=default_headers(),
            auto_decompress=False,
            # aiohttp counts what follows the version and the status.
            max_line_size=MAX_LINE_BYTES - len(b"HTTP/1.1 200 \r\n"),
            max_field_size=MAX_LINE_BYTES,
            # No .netrc; and aiohttp would refuse our own Authorization header beside it.
            trust_env=False,
            # Deadlines of our own serve for the rest: aiohttp's own would be set anew for each piece.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._time_limits.close()
        await self._session.close()

    async def run(self, conversation: Conversation[T], until: float | None = None) -> T:
        """
        Drive a conversation to its end and return its result.

        :param until: the loop's time at which it ends at the latest; None for the usual time of an operation.
        :raises VendorError: what the flow raises, and what goes wrong on the way.
        """
        if until is None:
            until = asyncio.get_running_loop().time() + self._limits.operation
        answer: Answer | VendorError | None = None
        try:
            while True:
                step = resume(conversation, answer)
                try:
                    if isinstance(step, Exchange):
                        answer = await self._exchange(step, until)
                    else:
                        answer = await self._send(step, until)
                except VendorError as error:
                    answer = error
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def _exchange(self, step: Exchange, until: float) -> str:
        failures = step.slot.failures
        slots = _locks.setdefault(asyncio.get_running_loop(), WeakKeyDictionary())
        lock = slots.setdefault(step.slot, asyncio.Lock())
        try:
            async with asyncio.timeout_at(until):
                await lock.acquire()
        except TimeoutError:
            raise no_reply(SendError, next(step.flow()), LOGIN_BUSY) from None
        try:
            token = step.slot.token
            if token is None:
                fresh = await self.run(log_in(step, failures), until)
                await self._mask(fresh.value)
                token = step.slot.store(fresh)
            return token
        finally:
            lock.release()

    def _proxy_for(self, url: yarl.URL) -> str | None:
        place = (url.scheme, url.raw_authority)
        if place not in self._proxies:
            self._proxies[place] = proxy_for(str(url))
        return self._proxies[place]

    async def _send(self, request: Request, until: float) -> Response:
        if not isinstance(request.body, (bytes, NoneType)):
            raise TypeError("a request whose body is streamed is sent on a worker, never in a triggerer")
        url = yarl.URL(request.url, encoded=True)
        try:
            proxy = self._proxy_for(url)
        except SettingsError as error:
            raise no_reply(SendError, request, str(error)) from None
        wanted = Route(request, direct=not proxy)
        route.set(wanted)
        limits, now = self._limits, asyncio.get_running_loop().time
        ends_at = min(now() + limits.total, until)
        if now() >= until:
            raise no_reply(SendError, request, "the operation took too long as a whole")
        patience = asyncio.timeout(None)

        def more_time(seconds: float = limits.read) -> None:
            self._time_limits.set(patience, min(now() + seconds, ends_at))

        try:
            async with patience:
                more_time(limits.connect + limits.read)
                async with self._session.request(
                    request.method,
                    url,
                    headers=request.headers,
                    data=request.body,
                    # aiohttp would name a content type of its own; preventing it takes time.
                    skip_auto_headers=None if request.method == "GET" else ["Content-Type"],
                    proxy=proxy,
                    allow_redirects=False,
                ) as reply:
                    headers = checked_headers(reply)
                    check_proxy_login(request.url, proxy, reply.status)
                    body = await read_body(request, reply, headers, more_time)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            # Not this task is cancelled, but something of a library's that it awaits.
            raise no_reply(TransportError, request, "the call was cancelled within a library") from None
        except TimeoutError as error:
            kind = SendError if isinstance(error, aiohttp.ConnectionTimeoutError) else TransportError
            text = "the call took too long as a whole" if now() >= ends_at else "nothing came for too long"
            raise no_reply(kind, request, text) from None
        except (
            aiohttp.ClientConnectorError,
            aiohttp.ClientConnectorCertificateError,
            aiohttp.ClientHttpProxyError,
        ) as error:
            text = reason(error)
            if proxy:
                status = error.status if isinstance(error, aiohttp.ClientHttpProxyError) else None
                text = through_proxy(request.url, status, text)
            raise wanted.refusal or no_reply(SendError, request, text) from None
        except (RuntimeError, MemoryError) as error:
            if not is_exhaustion(error):
                raise
            # A thread is needed to look up the host's name, and for nothing else of a call.
            kind = TransportError if isinstance(error, MemoryError) else SendError
            raise no_reply(kind, request, EXHAUSTED) from None
        except (aiohttp.ClientError, OSError) as error:
            raise no_reply(TransportError, request, reason(error)) from None
        except ValueError as error:
            # Ours says what is wrong and quotes nothing; a library's may quote anything.
            text = str(error) if type(error) is ValueError else type(error).__name__
            raise no_reply(TransportError, request, text) from None
        finally:
            self._time_limits.forget(patience)
        return Response(reply.status, headers, body, time.time(), secrets=proxy_secrets(proxy))
