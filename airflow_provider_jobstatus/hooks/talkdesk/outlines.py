"""What is kept of Talkdesk's responses, which may be reports of whatever size."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from typing import Any

from airflow_provider_jobstatus.core.body import SMALL_BYTES
from airflow_provider_jobstatus.core.contradictions import ERROR, JOB, MEMBERS
from airflow_provider_jobstatus.core.json_outline import AGREED_BYTES, JsonOutline

#: What errors consist of, Talkdesk's and a gateway's. The row of a report has other members, too.
OF_AN_ERROR = ERROR | {"code", "message", "description", "fields"}
#: What stands for the row of an array that is longer than the head of a body.
CUT_ROW: dict[str, Any] = {"": None}

#: Most items of an array that are judged.
_JUDGED_ITEMS = 1000
_DECODER = json.JSONDecoder()
_SPACE = b" \t\n\r"
# What stands behind an item that has come to its end.
_GAP = re.compile(r"[ \t\n\r]*(?:,[ \t\n\r]*|\])")


class ReplyOutline(JsonOutline):
    """
    A job, or the outline of a report itself, of whatever size: no row is kept.

    What is no JSON object or array is read no further than it takes to see that.
    """

    def __init__(self) -> None:
        super().__init__(MEMBERS | OF_AN_ERROR | {"entries"}, enough=lambda _: True)
        self._head = b""
        self._is_text = False

    def feed(self, piece: bytes) -> bool:
        """Take in what comes next, and return whether no more is needed."""
        if len(self._head) < SMALL_BYTES:
            self._head = _head_of(self._head + piece)
        try:
            return super().feed(piece)
        except ValueError:
            self._is_text = True
            return True

    def finish(self) -> None:
        """Note that nothing follows."""
        try:
            super().finish()
        except ValueError:
            self._is_text = True

    def json(self) -> bytes:
        """Return what is kept, as JSON; of an array the first items; of other text the head and a zero."""
        if self._is_text or self._is_unnamed():
            return self._head + b"\0"
        if self._head.startswith(b"["):
            items, end = first_items(self._head)
            return self._head[:end] + b"]" if end else json.dumps(items).encode()
        return super().json()

    def _is_unnamed(self) -> bool:
        """Return whether a job that is too long to be read to its end has no id in what was read of it."""
        if self._size <= AGREED_BYTES or not isinstance(self.kept, dict):
            return False
        told = self.kept.get("job", self.kept)
        if "status" not in self.kept and told is self.kept:
            return False  # rows
        places = [place for place in (self.kept, told) if isinstance(place, dict)]
        return all(JOB.isdisjoint(place) for place in places)


class FileOutline(ReplyOutline):
    """The head of a report's file."""

    def feed(self, piece: bytes) -> bool:
        """Take in what comes next, and return whether the head is there."""
        return super().feed(piece) or len(self._head) == SMALL_BYTES


def first_items(body: bytes) -> tuple[list[Any], int]:
    """
    Return the first items of an array, as far as they stand in its head, and where the last of them ends.

    An array is judged by them, however long it is. A first item that goes beyond the head is
    :data:`CUT_ROW`, which has no end.

    :param body: all of it, or no less than :data:`SMALL_BYTES` of its beginning.
    """
    head = _head_of(body)
    text = head.decode("latin-1")  # a character for each byte
    end = at = 1
    for _ in range(_JUDGED_ITEMS):
        try:
            _, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        if (behind := _GAP.match(text, at)) is None:  # it may go on
            break
        end, at = at, behind.end()
    if end > 1 or text.startswith("[]"):
        return json.loads(head[:end].decode("utf-8", "replace") + "]"), end
    # A value that is no object is no row, however it goes on.
    return [CUT_ROW if text[1:2] in ("{", "") else None], 0


def _head_of(body: bytes) -> bytes:
    """Return the beginning of a body; of an array, without space around its bracket."""
    begun = body.removeprefix(BOM_UTF8).lstrip(_SPACE)
    if begun.startswith(b"["):
        body = b"[" + begun[1:].lstrip(_SPACE)
    return body[:SMALL_BYTES] if begun else b""
