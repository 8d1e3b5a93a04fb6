"""Rows of two texts that follow each other in a JSON text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_jobstatus.core.row_runs import RowRun, RunFinder

FINDER = RunFinder("id", "text")


def rows(*texts: str, indent: int | None = None, **options: Any) -> bytes:
    return json.dumps(
        [{"id": str(n), "text": text} for n, text in enumerate(texts)], indent=indent, **options
    ).encode()


def found(raw: bytes, last: bool = True) -> tuple[list[int], list[bytes], bytes]:
    """Return how many rows each run has, the texts around the runs, and what is left for later."""
    parts, rest = FINDER.fold(raw, last)
    return [part.rows for part in parts[1::2] if isinstance(part, RowRun)], parts[::2], rest  # type: ignore[return-value]


def test_a_run_is_its_texts_and_what_stands_between_them() -> None:
    parts, rest = FINDER.fold(rows("a", 'b "c" \\'), True)
    run = RowRun(rb'"0", "text": "a"}, {"id": "1", "text": "b \"c\" \\"', b', "text": ', b'}, {"id": ')
    assert (parts, rest) == ([b"[", run, b"]"], b"")


@pytest.mark.parametrize(
    ("raw", "runs"),
    [
        (rows("a", "b", "c"), [3]),
        (rows("a", "b", indent=2), [2]),
        (rows("a", "b", separators=(",", ":")), [2]),
        (rows('}, {"id": "1", "text": "', "\\", '"', "\\\\", "\n", "ü✓😀", "\x7f"), [7]),
        (rows("ü✓😀", ensure_ascii=False), [1]),
        (rows("a") + b"," + rows("b", indent=1), [1, 1]),
        (rb'[{"id":"1","text":"\ud800"},{"id":"2","text":"\ud83d\ude00"},{"id":"3","text":"\udc00\/"}]', [1]),
        (b'[{"id":"1","text":"\n"},{"id":"2","text":"b"}]', [1]),
        (b'[{\n"id":"1","text":"\n"},{\n"id":"2","text":"b"}]', [1]),
        (rb'[{"id":"1","text":"\x"},{"id":"2","text":"b"}]', [1]),
        (b'[{"id":1,"text":"a"},{"text":"b","id":"2"},{"id":"3","text":"c","more":[]},{"id":"4"}]', []),
        (b'"{"id": "1", "text": "2"}"', [1]),
    ],
)
def test_rows_are_found_however_they_are_spaced_and_others_are_left(raw: bytes, runs: list[int]) -> None:
    assert found(raw)[0] == runs


def test_a_row_that_has_no_end_so_far_comes_again_with_the_next_bytes() -> None:
    raw = rows('a {"id', "b, {", "ü", ensure_ascii=False)
    for at in range(len(raw) + 1):
        runs, texts, rest = found(raw[:at], last=False)
        more, others, none = found(rest + raw[at:])
        assert (sum(runs) + sum(more), none) == (3, b""), at
        assert b"".join(texts + others).replace(b", ", b"") == b"[]"


def test_what_is_whole_and_no_row_is_not_held_back() -> None:
    assert found(b'[{"id":"1","text":"a","more":[]}, ', last=False)[2] == b""


def test_a_text_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        FINDER.fold(b'[{"id":"1","text":"\xff"}]', True)
