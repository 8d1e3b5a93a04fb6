"""What a vendor's explanation looks like once a hook hands it out."""

from __future__ import annotations

import pytest

from airflow_provider_jobstatus.hooks.ruler import RulerHook
from airflow_provider_jobstatus.sandbox import Sandbox


@pytest.mark.parametrize("before", [0, 480, 490, 495, 1000])
def test_an_explanation_is_short_and_never_holds_the_beginning_of_a_secret(
    before: int, sandbox: Sandbox
) -> None:
    password = sandbox.connection("ruler")["password"]
    reason = "x" * before + password + "y" * 5000
    sandbox.put_job("ruler", "site/job", script=[{"status": "failed", "failureReason": reason}])

    detail = RulerHook().job_status("site/job").detail

    assert detail is not None
    assert len(detail) <= 500
    assert password[:6] not in detail
