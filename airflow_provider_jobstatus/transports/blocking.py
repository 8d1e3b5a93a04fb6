"""Drive conversations with ``requests``: on the worker."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from itertools import chain
from types import NoneType
from typing import TypeVar

import requests
import urllib3

from airflow_provider_jobstatus.core.body import BodyReader, inflate
from airflow_provider_jobstatus.core.errors import SendError, VendorError
from airflow_provider_jobstatus.core.http import Request, Response
from airflow_provider_jobstatus.core.operation import Answer, Conversation, log_in, resume
from airflow_provider_jobstatus.core.redirects import Peers
from airflow_provider_jobstatus.core.tokens import Exchange, renew_locks
from airflow_provider_jobstatus.transports import pace
from airflow_provider_jobstatus.transports.client_errors import CLIENT_ERRORS, transport_error
from airflow_provider_jobstatus.transports.environment import IDEMPOTENT, CallLimits, ca_file, default_headers
from airflow_provider_jobstatus.transports.failures import LOGIN_BUSY, causes, no_reply, reason
from airflow_provider_jobstatus.transports.heads import check_length, content_coding, header_text
from airflow_provider_jobstatus.transports.pace import paced
from airflow_provider_jobstatus.transports.proxies import check_proxy_login, proxy_for, proxy_secrets
from airflow_provider_jobstatus.transports.upload import Upload
from airflow_provider_jobstatus.transports.watchdog import Watchdog
from airflow_provider_jobstatus.transports.watched_connections import WatchedAdapter

T = TypeVar("T")

#: The end of a connection, where a reply was to come.
_GONE = (ConnectionError, ssl.SSLError)
os.register_at_fork(after_in_child=renew_locks)


class BlockingClient:
    """
    A session that drives conversations, one at a time.

    :param limits: how long a call may take.
    :param ca: file of certificate authorities, or None for the environment's.
    :param mask: called with every new token before it is used.
    :raises SettingsError: the authorities cannot be read.
    """

    def __init__(
        self,
        limits: CallLimits | None = None,
        ca: str | None = None,
        mask: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._limits = limits or CallLimits()
        self._mask = mask
        self._unread: urllib3.BaseHTTPResponse | None = None
        self._peers = Peers()
        self._session = _Session()
        # No .netrc, which would replace our header; proxies and certificate authorities are looked up by us.
        self._session.trust_env = False
        self._session.verify = ca_file(ca)
        self._session.headers.clear()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, WatchedAdapter())

    def __enter__(self) -> BlockingClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def run(self, conversation: Conversation[T], until: float | None = None, streamed: bool = False) -> T:
        """
        Drive a conversation to its end and return its result.

        :param until: monotonic time at which it ends at the latest; None for the usual time of an
            operation.
        :param streamed: whether to leave the body of a 2xx reply unread.
        :raises VendorError: what the flow raises, and what goes wrong on the way.
        """
        if until is None:
            until = time.monotonic() + self._limits.operation
        answer: Answer | VendorError | None = None
        try:
            while True:
                step = resume(conversation, answer)
                try:
                    if isinstance(step, Exchange):
                        answer = self._exchange(step, until)
                    else:
                        began_at = time.monotonic()
                        answer = self._send(step, until, streamed)
                        if not isinstance(step.body, (bytes, NoneType)):
                            until += time.monotonic() - began_at  # it has limits of its own
                except VendorError as error:
                    answer = error
        except StopIteration as stop:
            result: T = stop.value
            return result

    @contextmanager
    def open(self, conversation: Conversation[Response]) -> Iterator[Response]:
        """Drive a conversation that ends in a streamed reply, for as long as the ``with`` lasts."""
        try:
            yield self.run(conversation, streamed=True)
        finally:
            if self._unread is not None:
                self._unread.close()
                self._unread = None

    def _exchange(self, step: Exchange, until: float) -> str:
        failures, lock = step.slot.failures, step.slot.lock
        if not lock.acquire(timeout=max(until - time.monotonic(), 0.0)):
            raise no_reply(SendError, next(step.flow()), LOGIN_BUSY)
        try:
            token = step.slot.token
            if token is None:
                fresh = self.run(log_in(step, failures), until)
                self._mask(fresh.value)
                token = step.slot.store(fresh)
            return token
        finally:
            lock.release()

    def _send(self, request: Request, until: float, streamed: bool) -> Response:
        if self._unread is not None:
            raise RuntimeError("a streamed reply is the last of its operation")
        left = until - time.monotonic()
        if left <= 0:
            raise no_reply(SendError, request, "the operation took too long as a whole")
        proxy = proxy_for(request.url)
        # Through a proxy, the address is the proxy's.
        check = (lambda _: None) if proxy else partial(self._peers.check, request)
        try:
            watchdog = Watchdog(min(self._limits.total, left), check, request.url)
        except OSError as error:
            raise no_reply(SendError, request, reason(error)) from None
        with ExitStack() as open_until_here:
            open_until_here.callback(watchdog.stop)
            try:
                with watchdog.guarding():
                    reply = open_until_here.enter_context(self._ask(request, proxy, watchdog))
                    status = reply.status_code
                    headers = {name.lower(): header_text(value) for name, value in reply.headers.items()}
                    check_length(headers)
                    check_proxy_login(request.url, proxy, status)
                    if watchdog.upload is not None:
                        watchdog.upload.check_reply(status)
                    coding = content_coding(status, headers)
                    if streamed and 200 <= status < 300:
                        self._unread = reply.raw
                        chunks = self._chunks(request, reply.raw, coding, watchdog)
                        open_until_here.pop_all()
                        return Response(status, headers, b"", time.time(), chunks, proxy_secrets(proxy))
                    reader = BodyReader(coding, request.outline_for(status))
                    chunks = reply.raw.stream(64 * 1024, decode_content=False)
                    for enough in chain.from_iterable(map(reader.feed, chunks)):
                        if enough:
                            break
                        if watchdog.expired:
                            raise TimeoutError
                    body = reader.finish()
            except CLIENT_ERRORS as error:
                raise transport_error(request, error, watchdog.expired, watchdog.connecting) from None
        if watchdog.expired:
            raise transport_error(request, TimeoutError(), late=True)
        return Response(status, headers, body, time.time(), secrets=proxy_secrets(proxy))

    def _ask(self, request: Request, proxy: str | None, watchdog: Watchdog) -> requests.Response:
        """Send a request and read the head of its reply; once more if the connection ends without one."""
        tries = 2 if request.method in IDEMPOTENT else 1
        while True:
            tries -= 1
            body: bytes | Upload | None
            if request.body is None or isinstance(request.body, bytes):
                body, read = request.body, self._limits.read
            else:
                body = watchdog.upload = Upload(request, request.body, watchdog.extend, self._limits)
                # The server may look at all of it before it answers.
                read = self._limits.total
            try:
                return self._session.request(
                    request.method,
                    request.url,
                    headers={**default_headers(), **request.headers},
                    data=body,
                    timeout=(self._limits.connect, read),
                    proxies={"http": proxy, "https": proxy} if proxy else None,
                    allow_redirects=False,
                    stream=True,
                )
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                # Most often it has died idle. What is connected to anew is closed by then, and thus fresh.
                gone = isinstance(causes(error)[-1], _GONE)
                if not gone or not tries or watchdog.connecting or watchdog.expired:
                    raise

    @staticmethod
    def _chunks(
        request: Request, raw: urllib3.BaseHTTPResponse, coding: str, watchdog: Watchdog
    ) -> Iterator[bytes]:
        try:
            yield from inflate(
                paced(raw.stream(pace.CHUNK_BYTES, decode_content=False), watchdog.extend), coding
            )
            if watchdog.expired:
                raise TimeoutError
        except CLIENT_ERRORS as error:
            raise transport_error(request, error, watchdog.expired) from None
        finally:
            watchdog.stop()
            raw.close()


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """
        See no redirect anywhere. Told not to follow one, ``requests`` prepares the next request all the same:
        it reads the whole body, whatever its size, and trips over a Location that is no address.
        """
