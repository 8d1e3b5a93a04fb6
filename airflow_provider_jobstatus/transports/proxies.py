"""The proxies of the environment, the secrets that they are sent, and the messages of their refusals."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from functools import cache
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from airflow_provider_jobstatus.core.errors import SettingsError


def proxy_for(url: str) -> str | None:
    """
    Return the proxy that the environment names for ``url``, if any.

    :raises SettingsError: it is none over http or https.
    """
    from requests.utils import get_environ_proxies, select_proxy

    proxy: str | None = select_proxy(url, get_environ_proxies(url, no_proxy=None))
    if not proxy:
        return None
    # A bare "host:port" is common, and means http.
    proxy = proxy.strip()
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(proxy)
        # Clients split an address at a backslash in different ways, and show what they take for its host.
        usable = (
            parts.scheme in ("http", "https")
            and parts.port != 0
            and re.fullmatch(r"[a-z0-9._:-]+", parts.hostname or "")
            and not re.search(r"[\x00-\x20\x7f\\]", proxy)
        )
        # What basic authentication carries; ValueError if not.
        unquote(f"{parts.username}{parts.password}").encode("latin-1")
    except ValueError:
        usable = False
    if not usable:
        # Not shown: it may hold a password.
        what = "a SOCKS proxy" if proxy.lower().startswith("socks") else "a proxy that cannot be used"
        raise SettingsError(
            f"{proxy_variable(url)} names {what}; give one such as http://proxy.example:3128, or take the"
            " vendor's host out with NO_PROXY"
        )
    return proxy


@cache
def proxy_secrets(proxy: str | None) -> tuple[str, ...]:
    """Return the secrets that are sent to a proxy: its password, and the encoded login."""
    parts = urlsplit(proxy or "")
    if not parts.password:
        return ()
    password = unquote(parts.password)
    login = f"{unquote(parts.username or '')}:{password}".encode("latin-1", "replace")
    return password, b64encode(login).decode()


def check_proxy_login(url: str, proxy: str | None, status: int) -> None:
    """
    Refuse a reply of a proxy that refuses the login in its variable. Within a tunnel, no reply is a proxy's.

    :raises ValueError: this is one.
    """
    if proxy and status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and url.startswith("http:"):
        raise ValueError(through_proxy(url, status))


def proxy_variable(url: str) -> str:
    """Return the name of the variable that names the proxy for ``url``, for a message."""
    names = (f"{urlsplit(url).scheme}_proxy", "all_proxy")
    forms = [form for name in names for form in (name, name.upper())]
    return next((form for form in forms if os.environ.get(form)), forms[1])


def through_proxy(url: str, status: int | None, text: str = "") -> str:
    """
    Say that a request did not get past its proxy.

    :param status: by which the proxy has refused, if it did.
    :param text: what else is known.
    """
    name = proxy_variable(url)
    if status is None:
        return f"through the proxy that {name} names: {text}"
    return f"the proxy that {name} names refuses the connection with status {status}"
