"""How user and password become a token; see :mod:`airflow_provider_jobstatus.hooks.ruler`."""

from __future__ import annotations

from urllib.parse import urlencode

from airflow_provider_jobstatus.core.http import Flow, Request
from airflow_provider_jobstatus.core.tokens import Token, token_flow
from airflow_provider_jobstatus.hooks.base import BatchJobHook

#: Where user and password are exchanged for a token, unless the connection's ``auth_url`` says otherwise.
LOGIN_URL = "https://authapi.rulerapi.com/v1/login"


def login_flow(hook: BatchJobHook, url: str, user: str, password: str) -> Flow[Token]:
    """
    Exchange user and password: ``POST https://authapi.rulerapi.com/v1/login``.

    :raises AccessDenied: 400, 401 or 403. The response to a failed login is not documented.
    """
    form = urlencode({"username": user, "password": password}).encode()
    request = Request(
        hook.conn_type, "POST", url, {"Content-Type": "application/x-www-form-urlencoded"}, form
    )
    return token_flow(request, (password,))
