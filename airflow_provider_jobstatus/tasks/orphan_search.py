"""Looks at the vendor for the job that a request may have made."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_jobstatus.core.errors import VendorError
from airflow_provider_jobstatus.tasks.order import Order

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

#: Seconds after which a search that has found nothing is repeated, as a list may lag.
SEARCH_PAUSES = (5.0, 15.0)


def search_orphan(order: Order, before: Any, log: Logger, pause: Callable[[float], None]) -> list[str]:
    """
    Return the ids of the jobs that the request of an order may have made; none where that cannot be told.

    :param before: what the record has kept of the time before the request; None if nothing.
    """
    if order.search is None or before is None:
        return []
    try:
        return search_patiently(partial(_search, order.search, before, log), pause)
    except (LookupError, TypeError, ValueError) as error:
        log.warning("What is kept of the time before cannot be read: %s", type(error).__name__)
        return []


def search_patiently(search: Callable[[], list[str]], pause: Callable[[float], None]) -> list[str]:
    """Return what a search finds, which is repeated after a while if that is nothing."""
    found = search()
    for seconds in SEARCH_PAUSES if not found else ():
        pause(seconds)
        if found := search():
            break
    return found


def _search(search: Callable[[Any], list[str]], before: Any, log: Logger) -> list[str]:
    try:
        return search(before)
    except VendorError as error:
        log.warning("The job cannot be searched for now: %s", error)
        return []
