"""What is tried again, after which pause, and what ends the tries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_jobstatus.core.errors import (
    AccessDenied,
    NotFound,
    RateLimited,
    RequestRejected,
    SendError,
    ServerError,
    TransportError,
    UnexpectedResponse,
    VendorError,
)
from airflow_provider_jobstatus.exceptions import DestinationError, DownloadIncomplete
from airflow_provider_jobstatus.files.retry_budget import MAX_PAUSE, MAX_TRIES, RetryBudget


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, none of them really."""
    made: list[float] = []
    monkeypatch.setattr("time.sleep", made.append)
    return made


def failing(*errors: Exception) -> Callable[[], str]:
    left = list(errors)

    def attempt() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return attempt


def error(kind: type[VendorError], status: int = 500, **more: Any) -> VendorError:
    found = kind(f"answered {status}", vendor="toy", status=status)
    for name, value in more.items():
        setattr(found, name, value)
    return found


def test_a_page_that_wants_a_pause_is_obeyed_and_one_that_wants_hours_ends_the_tries(
    pauses: list[float],
) -> None:
    soon, late = DownloadIncomplete("a page"), DownloadIncomplete("a page")
    soon.retry_after, late.retry_after = 40.0, 3000.0
    assert RetryBudget().try_out(failing(soon)) == "done"
    assert pauses == [40.0]
    with pytest.raises(DownloadIncomplete, match="s/j: a page; it asks for a pause of 3000 s"):
        RetryBudget("s/j").try_out(failing(late))
    assert pauses == [40.0]


PASSING: dict[str, list[Exception]] = {
    "nothing": [],
    **{
        kind.__name__: [error(kind), error(kind)]
        for kind in (TransportError, SendError, ServerError, RateLimited)
    },
    "DownloadIncomplete": [DownloadIncomplete("x"), DownloadIncomplete("x")],
    "404 of what should be there": [error(NotFound, 404), error(ServerError), error(NotFound, 404)],
}


@pytest.mark.parametrize("errors", PASSING.values(), ids=PASSING)
def test_what_may_pass_is_tried_again_after_a_pause_each(
    pauses: list[float], errors: list[Exception]
) -> None:
    assert RetryBudget().try_out(failing(*errors), if_missing="it should be there") == "done"
    assert len(pauses) == len(errors)


LASTING: dict[str, tuple[Exception, str]] = {
    **{kind.__name__: (error(kind), "") for kind in (AccessDenied, NotFound, UnexpectedResponse)},
    "DestinationError": (DestinationError("x"), ""),
    "KeyError": (KeyError("x"), ""),
    "404": (error(NotFound, 404), ""),
    "410 of what should be there": (error(NotFound, 410), "it should be there"),
    "what may have been carried out": (error(TransportError, repeatable=False), ""),
    "a spent licence": (error(RateLimited, spent=True), ""),
    "a refused login": (error(AccessDenied, login=True, retry_after=1.0), ""),
}


@pytest.mark.parametrize(("lasting", "if_missing"), LASTING.values(), ids=LASTING)
def test_what_will_not_pass_is_not_tried_again(
    pauses: list[float], lasting: Exception, if_missing: str
) -> None:
    with pytest.raises(type(lasting)) as caught:
        RetryBudget().try_out(failing(lasting), if_missing=if_missing)
    assert caught.value is lasting
    assert pauses == []


def test_a_404_that_stays_says_what_that_means(pauses: list[float]) -> None:
    with pytest.raises(NotFound) as caught:
        RetryBudget().try_out(failing(*[error(NotFound, 404)] * MAX_TRIES), if_missing="it should be there")
    assert caught.value.reason == f"answered 404; it should be there; tried {MAX_TRIES} times"
    assert len(pauses) == MAX_TRIES - 1


def test_pauses_grow_to_a_bound_and_then_the_last_error_is_raised(pauses: list[float]) -> None:
    errors = [error(ServerError) for _ in range(MAX_TRIES + 3)]
    with pytest.raises(ServerError) as caught:
        RetryBudget().try_out(failing(*errors))
    assert caught.value is errors[MAX_TRIES - 1]
    assert len(pauses) == MAX_TRIES - 1
    for tries, pause in enumerate(pauses):
        longest = min(2.0**tries, MAX_PAUSE)
        assert longest / 2 <= pause <= longest
    assert 60 < sum(pauses) < 130


# Retry-After


@pytest.mark.parametrize("kind", [AccessDenied, NotFound, RequestRejected, UnexpectedResponse, RateLimited])
def test_retry_after_is_obeyed_whatever_the_status(pauses: list[float], kind: type[VendorError]) -> None:
    assert RetryBudget().try_out(failing(error(kind, retry_after=90.0))) == "done"
    assert pauses == [90.0]


def test_a_vendor_that_asks_for_no_pause_gets_ours(pauses: list[float]) -> None:
    wishes = [error(RateLimited, retry_after=300.0), error(ServerError, retry_after=0.0)]
    assert RetryBudget().try_out(failing(*wishes)) == "done"
    assert pauses[0] == 300.0
    assert 1.0 <= pauses[1] <= 2.0


@pytest.mark.parametrize("kind", [ServerError, RateLimited, NotFound, AccessDenied])
@pytest.mark.parametrize(
    ("wish", "named"), [(301.0, "301 s"), (1800.0, "1800 s"), (3600.0, "at least 3600 s")]
)
def test_a_pause_beyond_the_tasks_patience_is_named_and_not_slept(
    pauses: list[float], kind: type[VendorError], wish: float, named: str
) -> None:
    with pytest.raises(kind, match=f"it asks for a pause of {named}, and a task waits 300 s"):
        RetryBudget().try_out(failing(error(kind, retry_after=wish)))
    assert pauses == []


def test_the_calls_of_a_task_share_its_patience(pauses: list[float]) -> None:
    patience = RetryBudget()
    wishes = [error(kind, retry_after=120.0) for kind in (ServerError, NotFound)]
    assert patience.try_out(failing(*wishes)) == "done"
    with pytest.raises(RateLimited, match="it asks for a pause of 120 s"):
        patience.try_out(failing(error(RateLimited, retry_after=120.0)))
    assert pauses == [120.0, 120.0]


def test_a_pause_is_named_whatever_the_reply_says_besides(pauses: list[float]) -> None:
    lengthy = ServerError("answered 503: " + "busy " * 300, vendor="toy", status=503)
    lengthy.retry_after = 900.0
    with pytest.raises(ServerError) as caught:
        RetryBudget().try_out(failing(lengthy))
    assert "900 s" in str(caught.value)
    assert len(caught.value.reason) <= 500
