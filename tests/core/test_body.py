"""Bodies: content codings, limits, outlines."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_jobstatus.core.body import (
    MAX_BODY_BYTES,
    PIECE_BYTES,
    SMALL_BYTES,
    BodyReader,
    inflate,
)
from airflow_provider_jobstatus.core.json_outline import AGREED_BYTES, JsonOutline
from tests.support.values import chunks_of, every_cut

CODINGS = {
    "": bytes,
    "identity": bytes,
    " Identity ": bytes,
    "gzip": gzip.compress,
    "X-Gzip": gzip.compress,
    "deflate": zlib.compress,
    "aws-chunked": bytes,
    "None": bytes,
    "UTF-8": bytes,
    "iso-8859-1, binary": bytes,
    "gzip, aws-chunked": gzip.compress,
    "utf-8,deflate,": zlib.compress,
}
COMPRESSED = [coding for coding, encode in CODINGS.items() if encode is not bytes]


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


def bare(body: bytes) -> bytes:
    """Deflate without the header and checksum of zlib."""
    coder = zlib.compressobj(wbits=-15)
    return coder.compress(body) + coder.flush()


def members(*bodies: bytes, padding: int = 0) -> bytes:
    return b"".join(gzip.compress(body) + bytes(padding) for body in bodies)


#: What other readers than Python's take as well: coding, how it came, what it means.
LENIENT = {
    "two members": ("gzip", members(b"a,b\r\n", b"1,2\r\n"), b"a,b\r\n1,2\r\n"),
    "an empty member between two": ("gzip", members(b"a", b"", b"b"), b"ab"),
    "zeros behind": ("x-gzip", members(b"a,b", padding=9), b"a,b"),
    "zeros between members and behind": ("gzip", members(b"a", b"b", padding=3), b"ab"),
    "zlib with zeros behind": ("deflate", zlib.compress(b"a,b") + bytes(4), b"a,b"),
    "deflate without its header": ("deflate", bare(b"a,b\r\n1,2"), b"a,b\r\n1,2"),
    "nothing, deflated without its header": ("deflate", bare(b""), b""),
    "stored, without its header": ("deflate", b"\x01\x03\x00\xfc\xffabc", b"abc"),
    "gzip that is called deflate": ("deflate", members(b"a"), b"a"),
    "zlib that is called gzip": ("gzip", zlib.compress(b"a"), b"a"),
}


@pytest.mark.parametrize("case", LENIENT)
def test_what_other_readers_take_is_taken_however_it_is_cut(case: str) -> None:
    coding, coded, body = LENIENT[case]
    for chunks in every_cut(coded):
        assert b"".join(inflate(chunks, coding)) == body
    assert b"".join(inflate((coded[at : at + 1] for at in range(len(coded))), coding)) == body


@pytest.mark.parametrize("case", [case for case in LENIENT if "member" not in case])
def test_it_is_refused_if_it_is_cut_short(case: str) -> None:
    coding, coded, _ = LENIENT[case]
    for end in range(len(coded.rstrip(b"\0")) if "behind" in case else len(coded)):
        with pytest.raises(ValueError, match="cut short"):
            list(inflate([coded[:end]], coding))


@pytest.mark.parametrize(
    ("coding", "coded"),
    [
        *(("gzip", members(b"a") + b"\x1f"), ("gzip", members(b"a") + b"\x1f\x8c")),
        *(("gzip", members(b"a") + b"\x1f\0\x8b"), ("gzip", members(b"a", padding=2) + b"x")),
        *(("gzip", members(b"a") + zlib.compress(b"b")), ("gzip", bytes(2) + members(b"a"))),
        *(("gzip", bare(b"a,b")), ("deflate", bare(b"a,b") + b"x"), ("deflate", bare(b"a") + bare(b"b"))),
        *(("deflate", zlib.compress(b"a") + members(b"b")), ("gzip", members(b"a", b"b")[:-8] + bytes(8))),
    ],
)
def test_what_no_reader_takes_is_refused_however_it_is_cut(coding: str, coded: bytes) -> None:
    for chunks in every_cut(coded):
        with pytest.raises(ValueError, match="body"):
            list(inflate(chunks, coding))


def test_members_come_one_in_a_step_so_that_others_have_their_turn() -> None:
    steps = list(inflate([members(*[b""] * 100_000)], "gzip"))
    assert b"".join(steps) == b""
    assert len(steps) >= 100_000


@pytest.mark.parametrize("coding", COMPRESSED)
def test_a_body_that_goes_on_after_its_end_is_refused(coding: str) -> None:
    coded = CODINGS[coding](b"data")
    for chunks in ([coded + b"x"], [coded, b"x"], [coded, b"", b"\0", coded[1:]]):
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


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "gzip,br", "base64", "gzip;q=1", "*", "\0"])
def test_a_coding_that_we_do_not_know_is_refused(coding: str) -> None:
    with pytest.raises(ValueError, match="not requested"):
        list(inflate([b"data"], coding))


def test_a_bomb_comes_in_small_pieces() -> None:
    bomb = gzip.compress(b"\0" * (64 * 1024 * 1024), 9)
    assert len(bomb) < 100_000
    size = 0
    for piece in inflate([bomb], "gzip"):
        assert len(piece) <= PIECE_BYTES
        size += len(piece)
    assert size == 64 * 1024 * 1024


@pytest.mark.parametrize("more", [-1, 0, 1, 2, 100, 257, 258, 259, 1000])
@pytest.mark.parametrize("level", [0, 1, 9])
def test_nothing_is_lost_where_one_piece_ends(more: int, level: int) -> None:
    body = b"\0" * (PIECE_BYTES + more)
    assert b"".join(inflate([zlib.compress(body, level)], "deflate")) == body


def read(body: bytes, coding: str = "", outline: JsonOutline | None = None) -> bytes:
    reader = BodyReader(coding, outline)
    any(reader.feed(body))
    return reader.finish()


@pytest.mark.parametrize("coding", CODINGS)
def test_a_body_has_a_limit_of_what_an_event_loop_can_spare_the_time_for(coding: str) -> None:
    encode = CODINGS[coding]
    assert MAX_BODY_BYTES == 2 * 1024 * 1024
    assert read(encode(b"x" * MAX_BODY_BYTES), coding) == b"x" * MAX_BODY_BYTES
    with pytest.raises(ValueError, match="larger than 2097152 bytes"):
        read(encode(b"x" * (MAX_BODY_BYTES + 1)), coding)


SPACE = b" " * SMALL_BYTES


@pytest.mark.parametrize("coding", CODINGS)
def test_an_outline_has_no_limit_and_is_read_through_any_coding(coding: str) -> None:
    body = b'{"results": "' + b"x" * (AGREED_BYTES + 1) + b'", "status": "done"}'
    kept = {"": None, "status": "done"}
    assert json.loads(read(CODINGS[coding](body), coding, JsonOutline(["status"]))) == kept


@pytest.mark.parametrize("body", [b"<html>", b'{"status": "done"', b'{"status": "done"} x', b"]"])
def test_what_has_no_outline_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="no whole JSON"):
        read(body + SPACE, outline=JsonOutline(["status"]))


@pytest.mark.parametrize("more", [-1, 0])
def test_what_is_small_is_read_whole_whatever_it_is_and_however_it_is_cut(more: int) -> None:
    body = b"<html>" + SPACE[6:-1] + b"." * (more + 1)
    for chunks in ([body], [body[:1], body[1:]], [body[:-1], body[-1:], b""]):
        reader = BodyReader("", JsonOutline(["status"]))
        for chunk in chunks:
            assert not any(reader.feed(chunk))
        assert reader.finish() == body


def test_what_can_become_no_json_any_more_is_read_no_further() -> None:
    steps = BodyReader("", JsonOutline(["status"])).feed(b"[1 " * MAX_BODY_BYTES)
    with pytest.raises(ValueError, match="no whole JSON"):
        for _, _ in zip(steps, range(100), strict=False):
            pass


def test_a_bomb_is_read_in_steps_between_which_others_have_their_turn() -> None:
    body = b'{"results": "' + b"x" * AGREED_BYTES + b'"}'
    steps = list(BodyReader("gzip", JsonOutline(["status"])).feed(gzip.compress(body)))
    assert len(steps) >= AGREED_BYTES // PIECE_BYTES


def test_an_empty_body_has_an_empty_outline() -> None:
    assert read(b"", outline=JsonOutline(["status"])) == b""


def test_little_is_read_beyond_what_is_enough() -> None:
    reader = BodyReader("", JsonOutline(["status"], enough=lambda kept: "status" in kept))
    head = b'{"status": "done", "results": [' + b"0," * (AGREED_BYTES // 2)
    pieces = iter([head, b"1," * PIECE_BYTES, b"<html>"])
    assert any(any(reader.feed(piece)) for piece in pieces)
    assert next(pieces) == b"<html>"
    assert json.loads(reader.finish()) == {"status": "done", "": None}
