"""Errors of a conversation, and what they show."""

from __future__ import annotations

import pytest
from hypothesis import given

from airflow_provider_jobstatus.core import errors
from airflow_provider_jobstatus.core.errors import ServerError, SettingsError, VendorError
from tests.core.values import assert_storable, hostile_text

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
