"""Whether a triggerer runs that can take over a deferred wait."""

from __future__ import annotations

import json
from http.client import HTTPException

from airflow.providers.common.compat.sdk import conf

#: Longest time that the request may take, in seconds.
REQUEST_TIMEOUT = 2.0
_LONGEST_RESPONSE = 65_536
_SERVER = "/execution"
_HEALTH = "/api/v2/monitor/health"


def triggerer_trouble() -> str | None:
    """
    Return a sentence if Airflow itself says that no triggerer runs.

    :return: None if one runs, and if that cannot be found out: the page of health may be served elsewhere.
    """
    # At a deferral only.
    from urllib.request import ProxyHandler, build_opener

    server = conf.get("core", "execution_api_server_url", fallback="") or _served_by_default()
    if not server.rstrip("/").endswith(_SERVER):
        return None
    url = server.rstrip("/").removesuffix(_SERVER) + _HEALTH
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=REQUEST_TIMEOUT) as response:
            status = json.loads(response.read(_LONGEST_RESPONSE))["triggerer"]["status"]
    except (OSError, HTTPException, ValueError, LookupError, TypeError, RecursionError):
        return None
    if status == "healthy":
        return None
    return (
        f"no triggerer runs (Airflow's health says {status!r}), so nothing is polled: start 'airflow "
        "triggerer' or set deferrable=False"
    )


def _served_by_default() -> str:
    base_url = conf.get("api", "base_url", fallback="") or "/"
    if base_url.startswith("/"):
        base_url = f"http://localhost:8080{base_url}"
    return base_url.rstrip("/") + _SERVER
