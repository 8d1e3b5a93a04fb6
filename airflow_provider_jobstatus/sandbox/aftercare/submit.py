"""Checks of what is submitted to the Aftercare stand-in.

Sources: https://docs.getaftercare.com/api-reference/coding/create ,
https://docs.getaftercare.com/api-reference/brand-coding/create ,
https://docs.getaftercare.com/api-reference/data-quality/batch

The description demands ``brandContext`` in every question; the example of plain coding has none. Here only
brand coding needs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_jobstatus.sandbox.orders import OrderRefused, as_json, as_object

#: What an object must have: a text, another object, or a list that is not empty and, in the list here, the
#: shape of its items.
Shape = Mapping[str, Any]
_QUESTION: Shape = {
    "questionIdentifier": str,
    "question": str,
    "responseEntries": [{"responseIdentifier": str, "answer": str}],
}
_CONTEXT: Shape = {"brandContext": {"industryDescription": str, "brands": [{}]}}
CODING: Shape = {"surveyIdentifier": str, "surveyResponses": [_QUESTION]}
BRAND_CODING: Shape = {"surveyIdentifier": str, "surveyResponses": [{**_QUESTION, **_CONTEXT}]}
QUALITY: Shape = {
    "surveyName": str,
    "callbackUrl": str,
    "responses": [{"surveyEntries": [{"question": str, "answer": str}]}],
}


def read_order(body: bytes, shape: Shape) -> dict[str, Any]:
    """Read an order.

    :param shape: What it must have.
    :raises OrderRefused: It is no good.
    """
    order = as_json(body)
    if not isinstance(order, dict):
        raise OrderRefused({})
    if missing := list(_missing(order, shape, "")):
        raise OrderRefused({place: f"{place.rpartition('.')[2]} is required" for place in missing})
    return order


def _missing(value: object, shape: Shape, place: str) -> Iterator[str]:
    for key, needed in shape.items():
        found = as_object(value).get(key)
        if isinstance(needed, Mapping):
            yield from _missing(found, needed, f"{place}{key}.")
        elif not found or not isinstance(found, str if needed is str else list):
            yield place + key
        elif isinstance(found, list):
            for index, item in enumerate(found):
                yield from _missing(item, needed[0], f"{place}{key}[{index}].")
