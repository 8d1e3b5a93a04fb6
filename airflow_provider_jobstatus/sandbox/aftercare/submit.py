"""Checks of what is submitted to the Aftercare stand-in.

Sources: https://docs.getaftercare.com/api-reference/coding/create ,
https://docs.getaftercare.com/api-reference/brand-coding/create ,
https://docs.getaftercare.com/api-reference/data-quality/batch

The description demands ``brandContext`` in every question; the example of plain coding has none. Here only
brand coding needs it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class OrderRefused(Exception):
    """A submission that makes no job.

    :param details: Messages by field; empty if the body as a whole is no good.
    """

    def __init__(self, details: Mapping[str, str]) -> None:
        super().__init__("; ".join(details.values()))
        self.details = details


def read_coding_order(body: bytes, *, brand: bool) -> dict[str, Any]:
    """Read a coding order.

    :raises OrderRefused: It is no good.
    """
    order = _object(body)
    details: dict[str, str] = {}
    _need_text(details, order, "", "surveyIdentifier")
    for index, question in enumerate(_need_list(details, order, "", "surveyResponses")):
        place = f"surveyResponses[{index}]."
        _need_text(details, question, place, "questionIdentifier")
        _need_text(details, question, place, "question")
        for number, entry in enumerate(_need_list(details, question, place, "responseEntries")):
            inner = f"{place}responseEntries[{number}]."
            _need_text(details, entry, inner, "responseIdentifier")
            _need_text(details, entry, inner, "answer")
        if brand:
            context = _as_object(_as_object(question).get("brandContext"))
            _need_text(details, context, f"{place}brandContext.", "industryDescription")
            _need_list(details, context, f"{place}brandContext.", "brands")
    if details:
        raise OrderRefused(details)
    return order


def read_quality_order(body: bytes) -> dict[str, Any]:
    """Read a data-quality order.

    :raises OrderRefused: It is no good.
    """
    order = _object(body)
    details: dict[str, str] = {}
    _need_text(details, order, "", "surveyName")
    _need_text(details, order, "", "callbackUrl")
    for index, response in enumerate(_need_list(details, order, "", "responses")):
        place = f"responses[{index}]."
        for number, entry in enumerate(_need_list(details, response, place, "surveyEntries")):
            inner = f"{place}surveyEntries[{number}]."
            _need_text(details, entry, inner, "question")
            _need_text(details, entry, inner, "answer")
    if details:
        raise OrderRefused(details)
    return order


def _object(body: bytes) -> dict[str, Any]:
    try:
        order = json.loads(body)
    except ValueError:
        order = None
    if not isinstance(order, dict):
        raise OrderRefused({})
    return order


def _as_object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _need_text(details: dict[str, str], value: object, place: str, key: str) -> None:
    text = _as_object(value).get(key)
    if not isinstance(text, str) or not text:
        details[place + key] = f"{key} is required"


def _need_list(details: dict[str, str], value: object, place: str, key: str) -> list[Any]:
    items = _as_object(value).get(key)
    if isinstance(items, list) and items:
        return items
    details[place + key] = f"{key} is required"
    return []
