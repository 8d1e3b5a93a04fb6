"""Where a bound session sends its requests: here alone a credential is added."""

from __future__ import annotations

import threading
from typing import Any

import requests
from requests.utils import select_proxy

from airflow_provider_jobstatus.core.auth import Auth, Shown, same_origin
from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.http import Response
from airflow_provider_jobstatus.core.responses import retry_after
from airflow_provider_jobstatus.core.tokens import Exchange
from airflow_provider_jobstatus.transports.blocking import BlockingClient
from airflow_provider_jobstatus.transports.environment import CallLimits
from airflow_provider_jobstatus.transports.proxies import proxy_for, proxy_secrets
from airflow_provider_jobstatus.transports.watchdog import Watchdog
from airflow_provider_jobstatus.transports.watched_connections import WatchedAdapter


class Calls(threading.local):
    """
    The calls of a bound session, one a thread.

    :ivar watchdog: of the call in progress, if there is one.
    :ivar sent: the credentials that the last call has carried.
    """

    def __init__(self) -> None:
        self.watchdog: Watchdog | None = None
        self.sent = Shown()


class BoundAdapter(WatchedAdapter):
    """
    Sends one request, redirects included one by one: here alone a credential is added.

    :param calls: of the session.
    """

    def __init__(
        self, base_url: str, auth: Auth, client: BlockingClient, limits: CallLimits, calls: Calls
    ) -> None:
        super().__init__()
        self._calls = calls
        self._base_url = base_url
        self._auth = auth
        self._client = client
        self._time_outs = (limits.connect, limits.read)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if not kwargs.get("verify", True):
            raise SettingsError("certificates are always checked; name a CA file in extra 'verify'")
        url = request.url or ""
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._time_outs
        if not kwargs.get("proxies") and (proxy := proxy_for(url)):
            kwargs["proxies"] = {"http": proxy, "https": proxy}
        self._calls.sent += proxy_secrets(select_proxy(url, kwargs.get("proxies")))
        if not same_origin(url, self._base_url):
            return super().send(request, *args, **kwargs)
        reply = self._send_with_credential(request, *args, **kwargs)
        repeatable = request.body is None or isinstance(request.body, (bytes, str))
        headers = {name.lower(): value for name, value in reply.headers.items()}
        answer = Response(reply.status_code, headers)
        if self._auth.renewable(answer) and repeatable and not retry_after(answer):
            reply.close()
            reply = self._send_with_credential(request, *args, **kwargs)
        # Not the copy with the credential: a redirect is prepared from it, and a caller may log it.
        reply.request = request
        return reply

    def _send_with_credential(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        copy = request.copy()
        headers = self._auth.headers()
        if isinstance(headers, Exchange):
            headers = self._client.run(headers.headers())
        self._calls.sent.add(headers)
        copy.headers.update(headers)
        return super().send(copy, *args, **kwargs)
