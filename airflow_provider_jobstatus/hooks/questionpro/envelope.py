"""The envelope of QuestionPro's replies, and the errors in it; see ``hooks.questionpro``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_jobstatus.core.content import without_addresses
from airflow_provider_jobstatus.core.errors import RateLimited, VendorError
from airflow_provider_jobstatus.core.http import Request, Response
from airflow_provider_jobstatus.core.responses import expect, expect_json, json_object, unexpected
from airflow_provider_jobstatus.core.text import clean

#: Error id of a spent licence (with 429), and of a missing permission (with 403).
LICENCE_SPENT = "1013"


def is_own(error: Mapping[str, Any]) -> bool:
    """Return whether an error is QuestionPro's."""
    # All ids of both pages have four digits; they stand as texts on one, as numbers on the other.
    texts = isinstance(error.get("name"), str) and isinstance(error.get("message"), str)
    return texts and re.fullmatch("1[0-9]{3}", _id_of(error)) is not None


def _id_of(error: Mapping[str, Any]) -> str:
    told = error.get("id")
    return str(told) if isinstance(told, (str, int)) else ""


def unwrap(request: Request, response: Response, *, personal: bool = False) -> Mapping[str, Any]:
    """
    Return a reply whose ``response`` is an object, or raise the error in it, whatever the status says.

    :param personal: whether an error may repeat data of people: their addresses are left out.
    """
    check_status(request, response, personal=personal)
    reply = expect_json(request, response)
    check_error(request, response, reply, personal=personal)
    if not isinstance(reply.get("response"), Mapping):
        raise unexpected(request, "answered without 'response'")
    return reply


def check_status(request: Request, response: Response, *, personal: bool = False) -> None:
    """Raise the error of a reply whose status is none of success."""
    if not 200 <= response.status < 300:
        response = without_addresses(response) if personal else response
        raise _refusal(request, response, _error_in(json_object(response.body)))


def check_error(
    request: Request, response: Response, reply: Mapping[str, Any], *, personal: bool = False
) -> None:
    """Raise the error that a reply with a status of success holds."""
    if _error_in(reply) is None:
        return
    if personal:
        response = without_addresses(response)
        reply = json_object(response.body)
    error = _error_in(reply) or {}
    status = error.get("httpStatusCode")
    if not isinstance(status, int) or not 400 <= status < 600:
        raise unexpected(request, f"answered the error {clean(error.get('message'), 200)!r} with 200")
    raise _refusal(request, replace(response, status=status), error)


def _error_in(reply: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the error that a reply holds, in the envelope or beside it, in whatever form."""
    places = (reply.get("response"), reply)
    for error in (place.get("error") for place in places if isinstance(place, Mapping)):
        parts = error if isinstance(error, list) else [error]
        told = next((part for part in parts if isinstance(part, Mapping)), None)
        if error:
            return told or {"message": error}
    return None


def _refusal(request: Request, response: Response, error: Mapping[str, Any] | None) -> VendorError:
    """Return the error for a status that is none of success."""
    try:
        expect(request, response)
    except VendorError as refusal:
        if isinstance(refusal, RateLimited):
            refusal.spent = error is not None and _id_of(error) == LICENCE_SPENT
        return refusal
    return unexpected(request, "answered with an error", response.status)
