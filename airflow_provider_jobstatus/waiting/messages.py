"""Messages about failed polls: until when they are borne, and what to check."""

from __future__ import annotations

from airflow_provider_jobstatus.core.clock import in_utc
from airflow_provider_jobstatus.core.errors import AccessDenied, NotFound, RateLimited, VendorError
from airflow_provider_jobstatus.core.jobs import JobStatus

#: The end of a wait says nothing of the job's own.
MAY_STILL_RUN = "The job may still run."


def _where(error: VendorError) -> str:
    return f"connection {error.conn_id!r}" if error.conn_id else "the connection"


def _check(error: AccessDenied) -> str:
    what = f"check {error.credential} in {_where(error)}"
    return what if error.login or error.status != 403 else f"{what}, and that it may see this job"


def borne(error: VendorError, until: float | None, next_poll_at: float) -> str:
    """
    Return the line for a poll that brought nothing, while the wait goes on.

    :param until: epoch seconds when that ends the wait; None if it does not.
    :param next_poll_at: epoch seconds.
    """
    if isinstance(error, AccessDenied):
        return (
            f"{error}; the wait goes on until {_time(until)}, the job itself is not affected: {_check(error)}"
        )
    if isinstance(error, NotFound) and until is not None:
        return (
            f"{error}; polled on until {_time(until)}, in case it was just submitted: check the job id, and "
            f"that {_where(error)} is of its account"
        )
    if until is not None:
        return f"{error}; the wait goes on, and bears this until {_time(until)}"
    return f"{error}; the wait goes on, next poll by {_time(next_poll_at)}"


def refused(error: AccessDenied, seconds: float | None) -> str:
    """
    Return why a wait ends whose credentials are refused.

    :param seconds: for which they were; None at the first poll, after which there is one more try at most.
    """
    if seconds is None and error.asked:
        lasted = f"; a second try, with {_where(error)} read anew, was refused, too"
    elif seconds is None:
        lasted = f"; {_where(error)} was read anew and holds the same credentials, which were not tried again"
    else:
        lasted = f"; refused for {seconds:.0f} s" if seconds else ""
    return f"{error}{lasted}: {_check(error)}. {MAY_STILL_RUN}"


def rejected(error: VendorError) -> str:
    """Return why a wait ends at a response that another poll cannot change."""
    if isinstance(error, RateLimited):
        return f"{error}; asking again cannot help before there are calls again. {MAY_STILL_RUN}"
    return (
        f"{error}; asking again cannot help: check the job id, and the address in {_where(error)}. "
        f"{MAY_STILL_RUN}"
    )


def unknown_job(error: VendorError, seconds: float) -> str:
    """
    Return why a wait ends for a job that the vendor does not know.

    :param seconds: since the wait began.
    """
    return (
        f"{error}; the vendor does not know this job, {seconds:.0f} s after the wait began. Check the job "
        f"id, and that {_where(error)} is of the account of the job; it may also have been deleted."
    )


def gave_up(error: VendorError, seconds: float) -> str:
    """
    Return why a wait ends without a usable response.

    :param seconds: for which there was none.
    """
    return (
        f"no usable answer for {seconds:g} s, in the end: {error}. What became of the job is unknown; it may "
        "still run."
    )


def timed_out(seconds: float, seen: JobStatus | None, error: VendorError | None) -> str:
    """
    Return why a wait ends at its deadline.

    :param seconds: that it has lasted.
    :param seen: what the vendor said last, if anything.
    :param error: why the last poll brought nothing, if it did not.
    """
    trouble = f"; last error: {error}" if error else ""
    last = seen.describe() if seen else "never seen"
    return f"not finished after {seconds:g} s; last status: {last}{trouble}. {MAY_STILL_RUN}"


def _time(at: float | None) -> str:
    return "its deadline" if at is None else in_utc(at, " ")
