"""How a mailing is sent; see :mod:`airflow_provider_jobstatus.hooks.questionpro`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.core.responses import json_object, unexpected
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.questionpro.envelope import unwrap

#: What each kind of recipients needs besides: by ``recipients.filterType``.
_BY_ADDRESS, _BY_FILTER = 2, 3
#: Shortest text of an order that is taken out of an error: shorter ones are parts of any word.
_SHORTEST = 4


def order_body(body: object) -> bytes:
    """
    Return the body of an order as it is sent: as it was given, unknown members included.

    Checked are ``compose.surveyID``, ``recipients.filterType`` (1: all verified members, 2: by
    ``emailAddress``, 3: a saved filter by ``existingFilterID``), and that all of it is JSON.

    :raises SettingsError: it cannot be an order; names the place, and shows nothing of what stands there.
    """
    order = _object("body", body)
    _number("body.compose.surveyID", _object("body.compose", order.get("compose")).get("surveyID"))
    recipients = _object("body.recipients", order.get("recipients"))
    kind = _number("body.recipients.filterType", recipients.get("filterType"))
    if kind == _BY_ADDRESS and not _is_address(recipients.get("emailAddress")):
        raise SettingsError("body.recipients.emailAddress is missing: filterType 2 sends to an address")
    if kind == _BY_FILTER:
        _number("body.recipients.existingFilterID", recipients.get("existingFilterID"))
    if order.get("send") is not None:
        _object("body.send", order["send"])
    try:
        return json.dumps(order, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        # The text of a TypeError names a type, that of the others nothing of the content.
        raise SettingsError(f"body is no JSON: {error}") from None


def submit_flow(hook: BatchJobHook, body: bytes) -> Flow[str]:
    """
    Send a mailing: ``POST /micropanel/batches``.

    No page shows the reply. Smallest one relied on, with any 2xx: ``{"response": {"id": 88123456}}``

    :param body: from :func:`order_body`.
    :return: the job id.
    :raises UnexpectedResponse: a 2xx that names no mailing, one of another survey, or a mailing and an error.
    """
    request = hook.request(
        "POST", "/micropanel/batches", headers={"Content-Type": "application/json"}, body=body
    )
    response = yield request
    try:
        return _number_of(hook, request, response, json.loads(body))
    except VendorError as error:
        # The error may repeat the order.
        error.redact(_texts(json.loads(body)["recipients"]))
        raise


def _number_of(hook: BatchJobHook, request: Request, response: Response, order: Mapping[str, Any]) -> str:
    """Return the job id in the reply to an order."""
    if 200 <= response.status < 300:
        # Whatever it is called, what it holds decides.
        response = replace(response, status=200)
        told = json_object(response.body).get("response")
        if isinstance(told, Mapping) and told.get("id") is not None and told.get("error"):
            raise unexpected(request, "answered the id of a mailing, and an error beside it")
    batch = unwrap(request, response, personal=True)["response"]
    asked, answered = order["compose"]["surveyID"], batch.get("surveyID")
    if answered is not None and str(answered) != str(asked):
        raise unexpected(request, "answered a mailing of another survey")
    number = batch.get("id")
    if isinstance(number, bool) or not isinstance(number, (int, str)) or not str(number).strip("0 "):
        raise unexpected(request, "answered without the id of a mailing")
    try:
        return str(hook.parse_job_id(number))  # type: ignore[arg-type]
    except SettingsError as error:
        raise unexpected(request, f"answered an id that is none: {error}") from None


def _texts(value: object) -> Iterator[str]:
    """Yield the texts of a value and of all in it, in each case that a server may write them in."""
    if isinstance(value, str) and len(value) >= _SHORTEST:
        yield from {value, value.lower(), value.upper()}
    elif isinstance(value, (Mapping, list)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)


def submission(hook: BatchJobHook, body: bytes) -> Operation[str]:
    """Return the operation that sends a mailing."""
    return hook.submission(partial(submit_flow, hook, body))


def _object(place: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SettingsError(f"{place} is {_kind(value)}; QuestionPro takes an object (a dict)")
    return value


def _number(place: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        hint = "; a DAG with render_template_as_native_obj=True makes numbers of templates"
        raise SettingsError(
            f"{place} is {_kind(value)}; QuestionPro takes a whole number"
            + (hint if isinstance(value, str) else "")
        )
    return value


def _is_address(value: object) -> bool:
    values = value if isinstance(value, (list, tuple)) else [value]
    return bool(values) and all(isinstance(each, str) and each.strip() for each in values)


def _kind(value: object) -> str:
    if value is None:
        return "missing"
    return "not positive" if isinstance(value, int) and not isinstance(value, bool) else type(value).__name__
