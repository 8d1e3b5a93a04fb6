"""How Talkdesk shows that it accepts credentials; see :mod:`airflow_provider_jobstatus.hooks.talkdesk`."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping

from airflow_provider_jobstatus.core.http import Flow
from airflow_provider_jobstatus.core.responses import json_object
from airflow_provider_jobstatus.hooks.base import BatchJobHook

#: What Talkdesk's errors consist of, and what their codes look like in practice.
_ERROR_KEYS = frozenset({"code", "message", "description", "fields"})
_CODE = re.compile(r"\d{7}", re.ASCII)


def ping_flow(hook: BatchJobHook) -> Flow[str]:
    """
    Ask for a job that cannot exist: ``GET /data/reports/calls/jobs/{id}``. Refused credentials show
    before.
    """
    request = hook.request("GET", f"/data/reports/calls/jobs/{uuid.UUID(int=0)}")
    response = yield request
    if response.status in (400, 404) and _is_full_error(json_object(response.body)):
        return "Talkdesk accepts the credentials"
    raise hook.foreign(
        request,
        response,
        "Talkdesk's error for a job that does not exist: 404 with "
        '{"code": "...", "message": "...", "description": "...", "fields": []}, where a code of seven '
        "digits and a message are enough (its codes are on no page: if this is Talkdesk all the same, "
        "the credentials were accepted, and waits work)",
    )


def _is_full_error(error: Mapping[str, object]) -> bool:
    """
    Return whether an error is Talkdesk's and not any server's with a ``code`` and a ``message``.

    One page leaves out the message, another the description.
    """
    code, told = error.get("code"), error.get("message", error.get("description"))
    if not isinstance(code, str) or not isinstance(told, str) or not error.keys() <= _ERROR_KEYS:
        return False
    return bool(_CODE.fullmatch(code)) or not error.keys() <= {"code", "message"}
