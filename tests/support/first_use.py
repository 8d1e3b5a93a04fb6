"""What Airflow itself warns of when it is first used, got over with before a test can trip over it."""

from __future__ import annotations

import os
import warnings

from airflow.providers.common.compat.sdk import BaseHook


def use_airflow_once() -> None:
    """
    Read a connection and look for hooks: on Airflow 3.1 each of these warns, once a process.

    Warnings are errors in our tests, and Airflow takes an error while it reads a connection for "not here".
    """
    from airflow.sdk.log import mask_secret

    from airflow_provider_jobstatus._compat import hook_registry
    from airflow_provider_jobstatus.hooks.registry import hook_for

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.environ["AIRFLOW_CONN_FIRST_USE"] = '{"conn_type": "ruler", "password": "first-use"}'
        try:
            hook_for(BaseHook.get_connection("first_use"))
        finally:
            del os.environ["AIRFLOW_CONN_FIRST_USE"]
        mask_secret("first-use")
        list(hook_registry().items())
