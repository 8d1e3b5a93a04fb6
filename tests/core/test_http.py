"""Requests and replies as values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from airflow_provider_jobstatus.core.http import Request, Response


def test_a_request_shows_no_header_query_or_body() -> None:
    request = Request("vendor", "POST", "https://u:p@api.example/v1/a?key=hidden", {"X": "hidden"}, b"hidden")
    assert repr(request) == "<Request POST /v1/a>"
    assert request.path == "/v1/a"


def test_headers_are_added_to_a_copy_and_win() -> None:
    request = Request("vendor", "GET", "https://api.example/", {"A": "1", "B": "1"}, b"body", anonymous=True)
    more = request.with_headers({"B": "2", "C": "2"})
    assert more.headers == {"A": "1", "B": "2", "C": "2"}
    assert request.headers == {"A": "1", "B": "1"}
    assert (more.vendor, more.method, more.url, more.body, more.anonymous) == (
        "vendor",
        "GET",
        "https://api.example/",
        b"body",
        True,
    )


def test_requests_and_replies_are_never_changed() -> None:
    for value, name in ((Request("vendor", "GET", "https://a.example"), "url"), (Response(200), "status")):
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, "another")


def test_a_reply_shows_no_header_or_body() -> None:
    assert (
        repr(Response(200, {"set-cookie": "hidden"}, b"hidden", 1.5))
        == "Response(status=200, received_at=1.5)"
    )


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("Text/HTML; charset=utf-8", "text/html"),
        (" application/json ", "application/json"),
        (";", ""),
        ("", ""),
    ],
)
def test_a_content_type_is_the_media_type_alone(header: str, kind: str) -> None:
    assert Response(200, {"content-type": header}).content_type == kind
    assert Response(200).content_type == ""
