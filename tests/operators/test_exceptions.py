"""What a task fails with."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSensorTimeout

from airflow_provider_jobstatus import exceptions
from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    RateLimited,
    RequestRejected,
    SendError,
    ServerError,
    SettingsError,
    TransportError,
    UnexpectedResponse,
    VendorError,
)
from airflow_provider_jobstatus.exceptions import (
    BadSettings,
    DownloadIncomplete,
    JobFailed,
    JobStatusError,
    JobTimedOut,
    PollingFailed,
    SubmissionUnknown,
    UnknownJob,
    VendorRefused,
    task_error,
)
from tests.core.test_errors import WAYS

TREE = {
    name: kind
    for name, kind in inspect.getmembers(exceptions, inspect.isclass)
    if kind.__module__ == exceptions.__name__
}


def test_the_tree_is_the_one_of_the_design() -> None:
    assert set(TREE) == {
        "JobStatusError",
        "JobFailed",
        "JobCancelled",
        "JobTimedOut",
        "JobNotFinished",
        "PollingFailed",
        "VendorRefused",
        "UnknownJob",
        "BadTriggerEvent",
        "NotSubmitted",
        "SubmissionUnknown",
        "DownloadIncomplete",
        "DestinationError",
        "BadSettings",
    }
    assert all(issubclass(kind, JobStatusError) for kind in TREE.values())


def test_airflow_retries_all_but_three() -> None:
    never = {
        name for name, kind in TREE.items() if issubclass(kind, AirflowFailException | AirflowSensorTimeout)
    }
    assert never == {"JobTimedOut", "SubmissionUnknown", "BadSettings"}
    assert issubclass(JobTimedOut, AirflowSensorTimeout)
    assert issubclass(SubmissionUnknown, AirflowFailException)


def test_none_is_a_bare_exception_of_airflow() -> None:
    airflows = {name for name, kind in TREE.items() if issubclass(kind, AirflowException)}
    assert airflows == {"JobTimedOut", "SubmissionUnknown", "BadSettings"}


def test_a_failed_job_carries_what_the_vendor_said() -> None:
    error = JobFailed("rev-1 failed", {"detail": "no rows", "counts": {"failed": 3}})
    assert (str(error), error.detail, error.counts) == ("rev-1 failed", "no rows", {"failed": 3})


def test_a_failed_job_of_which_nothing_is_known_has_no_detail() -> None:
    error = JobFailed("rev-1 failed")
    assert (error.status, error.detail, error.counts) == ({}, None, None)


def spent() -> RateLimited:
    error = RateLimited("answered 429", vendor="toy")
    error.spent = True
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (SettingsError("no site"), BadSettings),
        (AccessDenied("answered 403", vendor="toy"), VendorRefused),
        (RequestRejected("answered 400", vendor="toy"), VendorRefused),
        (spent(), VendorRefused),
        (NotFound("answered 404", vendor="toy"), UnknownJob),
        (RateLimited("answered 429", vendor="toy"), PollingFailed),
        (ServerError("answered 500", vendor="toy"), PollingFailed),
        (TransportError("gone", vendor="toy"), PollingFailed),
        (SendError("gone", vendor="toy"), PollingFailed),
        (UnexpectedResponse("odd", vendor="toy"), PollingFailed),
        (VendorError("odd", vendor="toy"), PollingFailed),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.__name__,
)
def test_each_error_of_a_conversation_is_one_of_a_task(
    error: VendorError | SettingsError, kind: type[JobStatusError]
) -> None:
    found = task_error(error, otherwise=PollingFailed)
    assert type(found) is kind
    assert str(found).startswith(str(error))


@pytest.mark.parametrize(("error", "advice"), [
    (NotFound("answered 404", vendor="toy"), "check the job id, and that connection 'mine' is of"),
    (AccessDenied("answered 401", vendor="toy"), "check the credential in connection 'mine'"),
])  # fmt: skip
def test_an_error_of_a_task_says_what_to_check(error: VendorError, advice: str) -> None:
    error.conn_id = "mine"
    assert advice in str(task_error(error, otherwise=PollingFailed))


def test_what_may_pass_is_what_the_caller_says() -> None:
    assert type(task_error(ServerError("x", vendor="toy"), DownloadIncomplete)) is DownloadIncomplete


@pytest.mark.parametrize("name", sorted(TREE))
@pytest.mark.parametrize("way", WAYS)
def test_an_error_is_copied_and_pickled_with_all_that_it_knows(name: str, way: Callable[[Any], Any]) -> None:
    kind = TREE[name]
    status = {"state": "failed", "detail": "two rows", "counts": {"failed": 2, "total": 9}}
    error = kind("rev-7 failed", status) if issubclass(kind, JobFailed) else kind("rev-7 is late")
    error.results = [{"job_id": "s/rev-7"}, {"job_id": "s/rev-8"}]
    error.add_note("see the vendor's page")
    found = way(error)
    assert type(found) is kind
    assert (str(found), repr(found), found.args, vars(found)) == (
        str(error),
        repr(error),
        error.args,
        vars(error),
    )
