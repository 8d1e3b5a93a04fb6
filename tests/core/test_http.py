"""Requests and replies as values, and content codings."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.http import (
    INFLATED_PIECE_BYTES,
    MAX_BODY_BYTES,
    Request,
    Response,
    decode_body,
    inflate,
)
from tests.core.values import chunks_of, every_cut

CODINGS = {
    "": bytes,
    "identity": bytes,
    " Identity ": bytes,
    "gzip": gzip.compress,
    "X-Gzip": gzip.compress,
    "deflate": zlib.compress,
}
COMPRESSED = [coding for coding, encode in CODINGS.items() if encode is not bytes]


def test_a_request_shows_no_header_query_or_body() -> None:
    request = Request("vendor", "POST", "https://u:p@api.example/v1/a?key=hidden", {"X": "hidden"}, b"hidden")
    assert repr(request) == "<Request POST /v1/a>"
    assert request.path == "/v1/a"


def test_headers_are_added_to_a_copy_and_win() -> None:
    request = Request("vendor", "GET", "https://api.example/", {"A": "1", "B": "1"}, b"body", True)
    more = request.with_headers({"B": "2", "C": "2"})
    assert more.headers == {"A": "1", "B": "2", "C": "2"}
    assert request.headers == {"A": "1", "B": "1"}
    assert (more.vendor, more.method, more.url, more.body, more.stream) == (
        "vendor",
        "GET",
        "https://api.example/",
        b"body",
        True,
    )


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


@pytest.mark.parametrize("coding", CODINGS)
@given(st.data(), st.binary(max_size=300))
def test_a_coding_is_undone_however_the_body_is_cut(coding: str, data: st.DataObject, body: bytes) -> None:
    chunks = data.draw(chunks_of(CODINGS[coding](body)))
    assert b"".join(inflate(chunks, coding)) == body


@pytest.mark.parametrize("coding", COMPRESSED)
def test_a_coding_is_undone_when_cut_at_every_offset(coding: str) -> None:
    for chunks in every_cut(CODINGS[coding](b"a,b\r\n1,2\r\n")):
        assert b"".join(inflate(chunks, coding)) == b"a,b\r\n1,2\r\n"


@pytest.mark.parametrize("coding", COMPRESSED)
def test_a_body_that_ends_at_any_offset_is_refused(coding: str) -> None:
    coded = CODINGS[coding](b"a,b\r\n1,2\r\n")
    for end in range(len(coded)):
        for chunks in ([coded[:end]], [coded[:end], b""], []):
            with pytest.raises(ValueError, match="cut short"):
                list(inflate(chunks, coding))


@pytest.mark.parametrize("coding", COMPRESSED)
def test_a_body_that_goes_on_after_its_end_is_refused(coding: str) -> None:
    coded = CODINGS[coding](b"data")
    for chunks in ([coded + b"x"], [coded, b"x"], [coded, b"", coded]):
        with pytest.raises(ValueError, match="goes on"):
            list(inflate(chunks, coding))
    assert b"".join(inflate([coded, b"", b""], coding)) == b"data"


@pytest.mark.parametrize("coding", COMPRESSED)
@given(st.binary(min_size=1, max_size=60))
def test_a_body_that_is_not_what_it_says_is_refused(coding: str, body: bytes) -> None:
    with pytest.raises(ValueError, match="body"):
        list(inflate([b"\0" + body], coding))


@pytest.mark.parametrize("place", [12, -5, -1])
def test_a_broken_checksum_or_body_is_refused(place: int) -> None:
    coded = bytearray(gzip.compress(b"0123456789" * 20))
    coded[place] ^= 0xFF
    with pytest.raises(ValueError, match="body"):
        list(inflate([bytes(coded)], "gzip"))


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "gzip,identity", "*", "\0"])
def test_a_coding_that_we_do_not_know_is_refused(coding: str) -> None:
    with pytest.raises(ValueError, match="not asked for"):
        list(inflate([b"data"], coding))


def test_a_bomb_comes_in_small_pieces() -> None:
    bomb = gzip.compress(b"\0" * (64 * 1024 * 1024), 9)
    assert len(bomb) < 100_000
    size = 0
    for piece in inflate([bomb], "gzip"):
        assert len(piece) <= INFLATED_PIECE_BYTES
        size += len(piece)
    assert size == 64 * 1024 * 1024


@pytest.mark.parametrize("more", [-1, 0, 1, 2, 100, 257, 258, 259, 1000])
@pytest.mark.parametrize("level", [0, 1, 9])
def test_nothing_is_lost_where_one_piece_ends(more: int, level: int) -> None:
    body = b"\0" * (INFLATED_PIECE_BYTES + more)
    assert b"".join(inflate([zlib.compress(body, level)], "deflate")) == body


@pytest.mark.parametrize("coding", CODINGS)
def test_a_body_has_a_limit(coding: str) -> None:
    encode = CODINGS[coding]
    assert decode_body(encode(b"x" * 1000), coding, 1000) == b"x" * 1000
    with pytest.raises(ValueError, match="larger than 1000 bytes"):
        decode_body(encode(b"x" * 1001), coding, 1000)


def test_the_usual_limit_is_eight_mebibytes() -> None:
    assert MAX_BODY_BYTES == 8 * 1024 * 1024
    with pytest.raises(ValueError, match="larger than 8388608 bytes"):
        decode_body(gzip.compress(b"\0" * (MAX_BODY_BYTES + 1)), "gzip")
