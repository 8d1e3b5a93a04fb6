"""The items of an array in an object of JSON, each as it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from airflow_provider_jobstatus.core.strict_json import DECODER, MAX_JSON_DEPTH, nesting

_SPACE = re.compile(r"[ \t\r\n]*")
#: Within strings, JSON has none of these as they are.
_ONE_LINE = {ord(mark): None for mark in "\t\r\n"}


def read_items(body: bytes, name: str, take: Callable[[str, Any], None]) -> dict[str, Any]:
    """
    Read an object of JSON whose member ``name`` is an array, and parse no more than one item at a time.

    :param body: UTF-8, perhaps behind a byte order mark.
    :param take: is given each item, as its own text on one line and as its value.
    :return: its members; of the array, an empty list.
    :raises ValueError: it is no whole object of strict JSON; the text quotes nothing of it.
    """
    if nesting(body) > MAX_JSON_DEPTH:
        raise ValueError(f"nested deeper than {MAX_JSON_DEPTH}")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    try:
        return _Reader(text).read(name, take)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos}") from None


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def read(self, name: str, take: Callable[[str, Any], None]) -> dict[str, Any]:
        members: dict[str, Any] = {}
        self._expect("{")
        for _ in self._until("}"):
            _, key = self._value()
            if not isinstance(key, str) or key in members:
                raise ValueError("a member without a name of its own")
            self._expect(":")
            if key == name and self._next() == "[":
                self._expect("[")
                for _ in self._until("]"):
                    take(*self._value())
                members[key] = []
            else:
                _, members[key] = self._value()
        if self._next():
            raise ValueError(f"something follows at character {self._at}")
        return members

    def _next(self) -> str:
        """Return the next character that is no white space, or nothing at the end."""
        self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
        return self._text[self._at : self._at + 1]

    def _expect(self, mark: str) -> None:
        if self._next() != mark:
            raise json.JSONDecodeError(f"Expecting {mark!r}", self._text, self._at)
        self._at += 1

    def _until(self, end: str) -> Any:
        """Yield before each of the values that commas part, up to ``end``."""
        if self._next() != end:
            yield
            while self._next() == ",":
                self._at += 1
                yield
        self._expect(end)

    def _value(self) -> tuple[str, Any]:
        self._next()
        begin = self._at
        value, self._at = DECODER.raw_decode(self._text, begin)
        return self._text[begin : self._at].translate(_ONE_LINE), value
