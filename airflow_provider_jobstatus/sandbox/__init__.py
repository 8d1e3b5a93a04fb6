"""A stand-in for the vendors: a real HTTP server, written from the vendors' own pages.

It shares no code with the rest of the package, so a mistake in reading a page cannot be made in one place and
confirmed in the other. ``python -m airflow_provider_jobstatus.sandbox`` serves it for a try in a terminal,
``Sandbox`` does so inside a test.
"""

from __future__ import annotations

from airflow_provider_jobstatus.sandbox.recording import RequestView
from airflow_provider_jobstatus.sandbox.runner import Sandbox
from airflow_provider_jobstatus.sandbox.vendor import JobView

__all__ = ["JobView", "RequestView", "Sandbox"]
