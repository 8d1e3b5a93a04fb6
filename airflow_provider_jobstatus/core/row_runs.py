"""Rows of two texts each that follow each other in a JSON text, found without parsing every one of them."""

from __future__ import annotations

import re
from typing import NamedTuple

from airflow_provider_jobstatus.core.strict_json import without_escapes

_ESCAPED = re.compile(
    rb"\\(?!(?:[/bfnrt]|u(?:[0-9a-cefA-CEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}"
    rb"|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?<=\\u[dD][89abAB]..\\u)[dD][c-fC-F][0-9a-fA-F]{2})))",
    re.DOTALL,
)
_PAIR = re.compile(rb'\\[\\"]')
_CONTROL = bytes(range(32))
_SPACE = rb"[ \t\n\r]*+"


class RowRun(NamedTuple):
    """
    Rows of two texts each, as JSON: ``"1","answer":"So."},{"responseIdentifier":"2","answer":"No."``.

    Neither ``middle`` nor ``between`` can stand within a text: their quotes would end it.

    :param text: from the first text of the first row to the second of the last one.
    :param middle: what stands between the texts of each row.
    :param between: what stands between two rows.
    """

    text: bytes
    middle: bytes
    between: bytes

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.text.count(self.between) + 1


class RunFinder:
    """
    Finds runs of objects of two members, both texts, in one order, however they are spaced.

    :param first, second: names of the members.
    """

    def __init__(self, first: str, second: str) -> None:
        self._first = f'"{first}"'.encode()
        begin, middle = (
            lead + f'"{name}"'.encode() + _SPACE + b":" + _SPACE
            for lead, name in ((rb"\{" + _SPACE, first), (_SPACE + b"," + _SPACE, second))
        )

        def pattern(text: bytes) -> re.Pattern[bytes]:
            # Of the rows behind the first one, all but the texts are as it is there.
            more = rb"\1" + text + rb"\2" + text + rb"\3"
            comma = b"(" + _SPACE + b"," + _SPACE + b")"
            one = b"(" + begin + b")" + text + b"(" + middle + b")" + text + b"(" + _SPACE + rb"\})"
            return re.compile(one + b"(?:" + comma + more + rb"(?:\4" + more + b")*+)?+")

        names = ([bytes([byte]) for byte in f'"{name}"'.encode()] for name in (first, second))
        colon, text = [_SPACE, b":", _SPACE], [b'"', b'[^"]*+', b'"', _SPACE]
        parts = [rb"\{", _SPACE, *next(names), *colon, *text, b",", _SPACE, *next(names), *colon, *text]
        self._part = re.compile(_beginnings(parts) + rb"\Z")
        # The first is much faster, and takes a line break within a text for a part of it.
        self._fast, self._strict = pattern(b'"[^"]*+"'), pattern(rb'"[^"\x00-\x1f]*+"')

    def fold(self, raw: bytes, last: bool) -> tuple[list[bytes | RowRun], bytes]:
        """
        Return texts and runs by turns, and what may be the beginning of another row.

        :param last: whether nothing follows.
        """
        text, found, at = raw, list[bytes | RowRun](), 0
        if b"\\" in text:
            text = without_escapes(text) if escapes_are_many(text) else _PAIR.sub(b"  ", text)
            # Of the same length. A run of backslashes is pairs, and then perhaps one that escapes a quote; an
            # escape that is none, or half of a character, becomes what no text may hold.
            text = _ESCAPED.sub(b"\0", text) if b"\\" in text else text
        for match in self._fast.finditer(text):
            # A text with a control character is left to the parser, and no other with it.
            for each in [match] if _is_clean(raw, match) else self._strict.finditer(text, *match.span()):
                found += (raw[at : each.start()], _run(raw, each))
                at = each.end()
        rest = len(raw) if last else self._unfinished(text, at)
        return [*found, raw[at:rest]], raw[rest:]

    def _unfinished(self, text: bytes, at: int) -> int:
        """Return where in a text a row begins that has no end so far; its length if none does."""
        named = text.rfind(self._first, at)
        for limit in (named, len(text)):
            begin = text.rfind(b"{", at, limit) if limit >= 0 else -1
            if begin >= 0 and self._part.match(text, begin):
                return begin
        return len(text)


def escapes_are_many(text: bytes) -> bool:
    """Return whether each escape costs more by itself than all of them together."""
    return text.count(b"\\") * 64 > len(text)


def _run(raw: bytes, match: re.Match[bytes]) -> RowRun:
    """
    Return a run.

    :param match: in a text in which nothing stands elsewhere than in ``raw``.
    :raises UnicodeDecodeError: it is not UTF-8.
    """
    begin, middle, end, comma = match.groups(b"")
    text = raw[match.end(1) : match.end() - len(end)]
    if not text.isascii():
        text.decode()
    return RowRun(text, middle, end + comma + begin)


def _is_clean(raw: bytes, match: re.Match[bytes]) -> bool:
    """Return whether no text of a run has a control character."""
    controls = _controls(match[0])
    if not controls:
        return True
    # Those between the texts are none of theirs; behind the last row there is no comma.
    begin, middle, end, comma = match.groups(b"")
    rows = raw.count(end + comma + begin, *match.span()) + 1
    return controls == rows * _controls(begin + middle + end + comma) - _controls(comma)


def _controls(text: bytes) -> int:
    return len(text) - len(text.translate(None, _CONTROL))


def _beginnings(parts: list[bytes]) -> bytes:
    """Return a pattern of whatever these patterns, one after the other, can begin with."""
    pattern = b""
    for part in reversed(parts):
        pattern = part + (b"(?:" + pattern + b")?+" if pattern else b"")
    return pattern
