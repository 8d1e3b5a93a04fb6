"""Errors of a conversation, and what they show."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, NoReturn

import pytest
from hypothesis import given

from airflow_provider_jobstatus.core import errors
from airflow_provider_jobstatus.core.errors import ServerError, SettingsError, VendorError
from tests.support.values import assert_storable, hostile_text

TREE = {
    "VendorError": "Exception",
    "TransportError": "VendorError",
    "SendError": "TransportError",
    "ApiError": "VendorError",
    "AccessDenied": "ApiError",
    "NotFound": "ApiError",
    "RateLimited": "ApiError",
    "ServerError": "ApiError",
    "RequestRejected": "ApiError",
    "UnexpectedResponse": "VendorError",
    "SettingsError": "Exception",
}


def test_the_tree_is_the_documented_one() -> None:
    found = {
        name: kind.__base__.__name__
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert found == TREE


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({}, "ruler: broken"),
        ({"method": "GET", "path": "/v1/a"}, "ruler GET /v1/a: broken"),
        ({"method": "GET", "path": "/v1/a", "status": 500}, "ruler GET /v1/a: broken"),
        ({"method": "GET", "path": "/a", "host": "[::1]:8443"}, "ruler GET [::1]:8443/a: broken"),
    ],
)
def test_an_error_says_who_was_asked_what(parts: dict[str, object], text: str) -> None:
    assert str(VendorError("broken", vendor="ruler", **parts)) == text  # type: ignore[arg-type]


@given(hostile_text, hostile_text)
def test_an_error_is_one_safe_line(reason: str, path: str) -> None:
    error = VendorError(reason, vendor="ruler", method="GET", path=path)
    assert_storable(str(error))


def test_an_error_is_cut() -> None:
    error = VendorError("x" * 501, vendor="ruler", method="GET", path="/" + "y" * 300)
    assert (len(error.reason), len(error.path)) == (500, 200)


@pytest.mark.parametrize("at", [0, 100, *range(470, 505), 5000])
def test_no_part_of_a_secret_is_shown_wherever_the_text_is_cut(at: int) -> None:
    secret = "S3CR3T-T0K3N-OF-40-CHARACTERS-IN-A-ROW-!"
    error = ServerError("." * at + secret + "." * 100, vendor="ruler")
    error.redact([secret])
    error.redact([secret])
    for shown in (str(error), repr(error), error.reason, *error.args):
        assert "S3" not in shown
        assert len(shown) < 600


def test_nothing_is_promised_unless_the_vendor_says_so() -> None:
    assert ServerError("x", vendor="ruler").retry_after is None
    assert errors.RateLimited("x", vendor="ruler").spent is False
    assert not issubclass(SettingsError, VendorError)


# Copies, and the way to another process


def pickled(error: Any, protocol: int) -> Any:
    return pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own


WAYS: list[Callable[[Any], Any]] = [
    copy.copy,
    copy.deepcopy,
    *[partial(pickled, protocol=protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)],
]


class TellsMore(errors.RateLimited):
    """An error of a user's own, whose constructor is another one."""

    def __init__(self, *, quota: int) -> None:
        super().__init__(f"over {quota} calls", vendor="toy", method="PUT", path="/q", status=429)
        self.quota = quota


def thrown(kind: type[Exception]) -> Exception:
    """Return an error with everything that one can carry."""
    if kind is TellsMore:
        error: Exception = TellsMore(quota=7)
    elif issubclass(kind, VendorError):
        error = kind("answered\n" + "odd " * 300, vendor="toy", method="GET", path="/jobs/\u00fc", status=599)
        error.add("asked again later")  # type: ignore[attr-defined]
    else:
        error = kind("extra 'site' is missing")
    error.retry_after = 41.5  # type: ignore[attr-defined]
    error.spent = True  # type: ignore[attr-defined]
    error.asked = False  # type: ignore[attr-defined]
    error.add_note("seen at the first look")
    return error


def assert_same(found: BaseException, error: BaseException) -> None:
    assert type(found) is type(error)
    assert found is not error
    assert (str(found), repr(found), found.args) == (str(error), repr(error), error.args)
    assert vars(found) == vars(error)


@pytest.mark.parametrize("kind", [*[getattr(errors, name) for name in TREE], TellsMore])
@pytest.mark.parametrize("way", WAYS)
def test_an_error_is_copied_and_pickled_with_all_that_it_knows(
    kind: type[Exception], way: Callable[[Any], Any]
) -> None:
    error = thrown(kind)
    found = way(error)
    assert_same(found, error)
    assert_same(way(found), error)


def test_a_copy_is_redacted_by_itself() -> None:
    error = ServerError("the key is c0py-canary-1", vendor="toy")
    found = copy.deepcopy(error)
    found.redact(["c0py-canary-1"])
    assert "canary" not in str(found)
    assert "canary" in str(error)


def fail(error: Exception) -> NoReturn:
    raise error


def test_an_error_of_another_process_arrives_as_it_is() -> None:
    error = thrown(errors.NotFound)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        found = pool.submit(fail, error).exception(60)
    assert found is not None
    assert_same(found, error)
