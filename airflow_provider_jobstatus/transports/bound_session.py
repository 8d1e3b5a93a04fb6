"""A ``requests`` session that is bound to one connection: for calls that no flow makes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any, NoReturn

import requests

from airflow_provider_jobstatus.core.auth import Auth, Shown, same_origin, secrets_of
from airflow_provider_jobstatus.core.errors import TransportError, VendorError
from airflow_provider_jobstatus.core.http import Request, Response
from airflow_provider_jobstatus.core.redirects import Peers, target_of
from airflow_provider_jobstatus.core.responses import error_of, expect
from airflow_provider_jobstatus.core.text import plain
from airflow_provider_jobstatus.transports.blocking import BlockingClient
from airflow_provider_jobstatus.transports.bound_adapter import BoundAdapter, Calls
from airflow_provider_jobstatus.transports.client_errors import CLIENT_ERRORS
from airflow_provider_jobstatus.transports.environment import CallLimits, ca_file, default_headers
from airflow_provider_jobstatus.transports.failures import reason
from airflow_provider_jobstatus.transports.proxies import (
    check_proxy_login,
    proxy_for,
)
from airflow_provider_jobstatus.transports.watchdog import Watchdog

Reply = requests.Response

_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


class BoundSession(requests.Session):
    """
    Sends what has no scheme to the base URL, with the credential; what goes elsewhere carries none, also
    after a redirect. A token is exchanged and renewed as in flows. ``.netrc`` is not read.

    :param vendor: for messages.
    :param client: drives logins; closed with the session.
    :param limits: how long a call may take, redirects and body included, unless its own time-outs are longer;
        a streamed body is read after that, and only the time-out of reading holds.
    :param ca: file of certificate authorities, or None for the environment's.
    """

    def __init__(
        self,
        vendor: str,
        base_url: str,
        auth: Auth,
        client: BlockingClient,
        limits: CallLimits,
        ca: str | None,
    ) -> None:
        super().__init__()
        self.trust_env = False
        self.verify = ca_file(ca)
        self.headers["User-Agent"] = default_headers()["User-Agent"]
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._vendor = vendor
        self._base_url = base_url
        self._auth = auth
        self._client = client
        self._limits = limits
        self._peers = Peers()
        self._calls = Calls()
        for scheme in ("http://", "https://"):
            self.mount(scheme, BoundAdapter(base_url, auth, client, limits, self._calls))

    def __getstate__(self) -> NoReturn:
        """
        Refuse to be pickled or copied, as what would come of it has no credential.

        :raises TypeError: always.
        """
        raise TypeError(
            "a session of get_conn() cannot be pickled or copied: it holds the connection's credential; call"
            " get_conn() again where a session is needed"
        )

    def close(self) -> None:
        """Close the session's connections."""
        super().close()
        self._client.__exit__()

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Prepare a request whose URL may be a path after the base URL."""
        url = request.url = str(plain(request.url or ""))
        if not _ABSOLUTE.match(url):
            request.url = self._base_url + (url if url[:1] in ("", "/", "?") else f"/{url}")
        try:
            prepared = super().prepare_request(request)
        except (requests.RequestException, ValueError) as error:
            raise _without_address(error, "no request can be made of this") from None
        # Or a redirect would carry on what the reply before it has set.
        prepared._cookies.set_policy(  # type: ignore[attr-defined]
            DefaultCookiePolicy(allowed_domains=[])
        )
        return prepared

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> Reply:
        """
        Send a request, and follow its redirects.

        :raises requests.RequestException: no usable reply; does not quote the address, which may be signed,
            and leads to no credential.
        :raises VendorError: a login has failed, or an address must not be called.
        """
        if self._calls.watchdog is not None:
            # A redirect, within the call in progress.
            self._calls.watchdog.check = self._check_of(request, kwargs, redirected=True)
            return super().send(request, **kwargs)
        seconds = _longest(self._limits.total, kwargs.get("timeout"))
        check = self._check_of(request, kwargs, redirected=False)
        try:
            self._calls.watchdog = watchdog = Watchdog(seconds, check)
        except OSError as error:
            raise _without_address(error, "no usable reply", request) from None
        self._calls.sent = Shown()
        try:
            with watchdog.guarding():
                reply = super().send(request, **kwargs)
                if watchdog.expired:
                    raise TimeoutError
                return reply
        except VendorError as error:
            error.redact(self._secrets())
            raise
        except CLIENT_ERRORS as error:
            if watchdog.expired:
                text = "no usable reply (the call took too long as a whole)"
                shown: Exception = requests.ReadTimeout(text, request=request)
            else:
                shown = _without_address(error, "no usable reply", request)
        finally:
            watchdog.stop()
            self._calls.watchdog = None
        # Not while the library's error is handled: it would stand behind ours, with the request as sent.
        raise shown

    def _secrets(self) -> tuple[str, ...]:
        """Return the secrets of this thread's last call: a token may have been renewed since."""
        return secrets_of(self._auth, self._calls.sent)

    def _check_of(
        self, request: requests.PreparedRequest, options: dict[str, Any], redirected: bool
    ) -> Callable[[str], None]:
        """Return the check of a connection's address: as for flows, but a user may name any place."""
        url = request.url or ""
        own = same_origin(url, self._base_url)
        if not (own or redirected) or options.get("proxies") or proxy_for(url):
            return lambda _: None
        return partial(self._peers.check, Request(self._vendor, request.method or "", url, anonymous=not own))

    def resolve_redirects(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Follow redirects; what is not to be followed is not prepared either."""
        return iter(()) if kwargs.get("yield_requests") else super().resolve_redirects(*args, **kwargs)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """
        Return where to go on.

        :raises UnexpectedResponse: to a place that must not be called.
        """
        location = super().get_redirect_target(resp)
        if location is not None:
            asked = Request(self._vendor, resp.request.method or "", resp.url)
            target_of(asked, Response(resp.status_code, {"location": location}))
        return location

    def ask(self, method: str, url: str, check: bool, **kwargs: Any) -> Reply:
        """
        Send one request and return the reply.

        :param check: whether a status of 400 and above is an error.
        :raises VendorError: no usable reply, or such a status.
        """
        asked = Request(self._vendor, method, self._base_url)
        try:
            reply = self.request(method, url, **kwargs)
        except requests.RequestException as error:
            raise error_of(TransportError, asked, str(error)) from None
        asked = replace(asked, url=reply.url)
        if check and reply.status_code >= 400:
            headers = {name.lower(): value for name, value in reply.headers.items()}
            proxy = None if kwargs.get("proxies") else proxy_for(reply.url)
            try:
                check_proxy_login(reply.url, proxy, reply.status_code)
                expect(asked, Response(reply.status_code, headers, reply.content))
            except ValueError as error:
                raise error_of(TransportError, asked, str(error)) from None
            except VendorError as error:
                error.redact(self._secrets())
                raise
        return reply


def _longest(usual: float, named: Any) -> float:
    """Return the seconds that a call may take, of which a caller may have named time-outs of its own."""
    parts = named if isinstance(named, tuple) else (named,)
    return max(usual, sum(part for part in parts if isinstance(part, (int, float))))


def _without_address(
    error: Exception, text: str, request: requests.PreparedRequest | None = None
) -> requests.RequestException:
    """Return an error of the same kind that does not quote the address, which may be signed."""
    kind = type(error) if isinstance(error, requests.RequestException) else requests.RequestException
    response = getattr(error, "response", None)
    return kind(f"{text} ({reason(error)})", request=request, response=response)
