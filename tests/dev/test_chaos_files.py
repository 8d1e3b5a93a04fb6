"""A chaos run of downloads misses its bars when a destination is half, or anything else is not as it was."""

from __future__ import annotations

import pytest

from dev.chaos.breaks import BODY, FAILED, LEFT, ODD, OLD, PUBLISHED, STOPPED, TOUCHED, WRONG, faults
from dev.chaos.places import NAME, THEIRS

HALF, WHOLE, PART = {NAME: BODY[:-1]}, {NAME: BODY}, {".jobstatus-x.part": b"x"}


@pytest.mark.parametrize(
    ("kind", "before", "held", "code", "found"),
    [
        ("stream", None, {}, FAILED, []),
        ("stream", OLD, {NAME: OLD}, FAILED, []),
        ("SIGTERM", None, {}, STOPPED, []),
        ("SIGTERM", OLD, WHOLE, PUBLISHED, []),
        ("SIGTERM", OLD, WHOLE, STOPPED, []),
        ("kill -9", OLD, {NAME: OLD} | PART, -9, []),
        ("connection to the server lost", OLD, WHOLE, FAILED, []),
        ("stream", None, HALF, FAILED, [WRONG]),
        ("stream", None, WHOLE, FAILED, [WRONG]),
        ("stream", OLD, {}, FAILED, [WRONG]),
        ("kill -9", OLD, {}, -9, [WRONG]),
        ("SIGTERM", OLD, {NAME: OLD}, PUBLISHED, [WRONG]),
        ("SIGTERM", None, PART, STOPPED, [LEFT]),
        ("stream", None, {"upload 1": b""}, FAILED, [LEFT]),
        ("stream", None, {"theirs.csv": b"ours"}, FAILED, [TOUCHED]),
        ("stream", None, {}, 1, [ODD]),
        ("disk full", None, WHOLE, PUBLISHED, [WRONG, ODD]),
    ],
)
def test_what_a_break_leaves_is_judged(
    kind: str, before: bytes | None, held: dict[str, bytes], code: int, found: list[str]
) -> None:
    assert faults(kind, before, THEIRS | held, code) == found


def test_a_file_of_others_that_is_gone_is_noticed() -> None:
    assert faults("kill -9", None, {}, -9) == [TOUCHED]
