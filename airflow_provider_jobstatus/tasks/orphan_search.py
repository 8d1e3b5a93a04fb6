"""Looks at the vendor for the job that a request may have made."""

from __future__ import annotations

from collections.abc import Callable
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
    for seconds in (*SEARCH_PAUSES, None):
        found: list[str] = []
        try:
            found = order.search(before)
        except VendorError as error:
            log.warning("The job cannot be searched for now: %s", error)
        except (LookupError, TypeError, ValueError) as error:
            log.warning("What is kept of the time before cannot be read: %s", type(error).__name__)
            break
        if found or seconds is None:
            break
        pause(seconds)
    return found
