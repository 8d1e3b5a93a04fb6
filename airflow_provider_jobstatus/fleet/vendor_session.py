"""A connection as it was read last, with its hook."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from airflow_provider_jobstatus.waiting.session_policy import Session

if TYPE_CHECKING:
    from airflow_provider_jobstatus.hooks.base import BatchJobHook

#: The scheduler calls nothing of the hook that does I/O.
VendorSession: TypeAlias = "Session[BatchJobHook]"
