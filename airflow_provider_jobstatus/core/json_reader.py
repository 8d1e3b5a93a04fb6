"""
A JSON text of any size, pulled value by value.

The caller knows where a text may be long, and enters the objects and arrays there; every other value comes
whole, parsed by Python's own parser. So memory does not grow with the text, and no byte of it is looked at
by Python code. What is refused is what :mod:`~airflow_provider_jobstatus.core.strict_json` refuses.
"""

from __future__ import annotations

import codecs
import json
import math
import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from airflow_provider_jobstatus.core.strict_json import MAX_JSON_DEPTH

#: Bytes that are read in one step: they stay in a processor's cache.
PIECE_BYTES = 128 * 1024
#: Longest value, in bytes, that is held as a whole.
MAX_VALUE_BYTES = 4 * 1024 * 1024
#: Most members of an object that is entered.
MAX_MEMBERS = 100_000

#: Takes runs of objects out of a text: given its bytes and whether they are the last, returns pieces of text
#: and runs by turns, beginning and ending with a text, and the bytes to be given again with the next ones.
Fold = Callable[[bytes, bool], tuple[list[Any], bytes]]

_SPACE = re.compile(r"[ \t\n\r]*+")
_OF_NUMBERS = frozenset("+-.0123456789eE")
_CLOSING = {"{": "}", "[": "]"}
#: What is no value: the text so far ends within it.
PART: Final = object()


@dataclass(slots=True)
class _Level:
    """A container that has been entered; of an object, with the names of its members so far."""

    closing: str
    begun: bool = False
    names: set[str] = field(default_factory=set)


class JsonReader:
    """
    Reads a JSON text. An object comes as a tuple of its members, each a pair of name and value.

    :param chunks: the bytes of the text.
    :param fold: takes runs out of it.
    :param piece_bytes: how many bytes are read in one step.

    Every method raises ValueError for a text that is no strict JSON; the message quotes nothing of it.
    """

    def __init__(
        self,
        chunks: Iterable[bytes],
        fold: Fold = lambda raw, _: ([raw], b""),
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        self._chunks = iter(chunks)
        self._fold, self._piece_bytes = fold, piece_bytes
        #: The name by which an object stands for a run that was taken out; no text has it.
        self._mark_of_runs = uuid.uuid4().hex
        self._runs: dict[int, Any] = {}
        self._taken = self._count = 0
        self._text, self._at, self._raw = "", 0, b""
        self._first, self._ended = True, False
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._open: list[_Level] = []
        decoder = json.JSONDecoder(object_pairs_hook=tuple, parse_constant=_no_constant, parse_float=_finite)
        self._scan: Callable[[str, int], tuple[Any, int]] = decoder.scan_once  # type: ignore[attr-defined]

    def mark(self) -> str:
        """Return the next character that is no space; nothing at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read():
                return ""

    def value(self) -> Any:
        """Return the next value."""
        before = self._count
        while (value := self.whole_value()) is PART:
            if self._count - before > MAX_VALUE_BYTES:
                raise ValueError(f"a value of more than {MAX_VALUE_BYTES} bytes, or no JSON")
            if not self._read():
                raise ValueError("the text ends early, or is no JSON")
        return value

    def whole_value(self) -> Any:
        """Return the next value, or :data:`PART` if not all of it has been read so far."""
        self.mark()
        text = self._text
        try:
            value, end = self._scan(text, self._at)
        except (StopIteration, json.JSONDecodeError):
            return PART
        except RecursionError:
            raise ValueError(f"nested deeper than {MAX_JSON_DEPTH}") from None
        if type(value) in (int, float) and not self._ended and _OF_NUMBERS.issuperset(text[end : end + 1]):
            return PART
        self._at = end
        return value

    def enter(self, bracket: str) -> None:
        """Enter the object or array that comes next."""
        if self.mark() != bracket:
            raise ValueError(f"something else stands where {bracket!r} is due")
        if len(self._open) == MAX_JSON_DEPTH:
            raise ValueError(f"nested deeper than {MAX_JSON_DEPTH}")
        self._at += 1
        self._open.append(_Level(_CLOSING[bracket]))

    def item(self) -> bool:
        """Go to the next item of the array that was entered last; False if there is none, and it is left."""
        level, mark = self._open[-1], self.mark()
        if mark == level.closing:
            self._at += 1
            self._open.pop()
            return False
        if level.begun:
            if mark != ",":
                raise ValueError("the text ends early" if not mark else "a comma or a bracket is missing")
            self._at += 1
        level.begun = True
        return True

    def member(self) -> str | None:
        """Go to the value of the next member of the object that was entered last, and return its name."""
        if not self.item():
            return None
        name, names = self.value(), self._open[-1].names
        if not isinstance(name, str) or self.mark() != ":":
            raise ValueError("something else stands where a member is due")
        if name in names or len(names) == MAX_MEMBERS:
            raise ValueError("a key stands twice in one object, or it has too many")
        names.add(name)
        self._at += 1
        return name

    def skip(self) -> None:
        """Pass the next value, however long it is."""
        depth = len(self._open)
        while True:
            if (value := self.whole_value()) is not PART:
                self.plain(value)
            elif (mark := self.mark()) in _CLOSING:
                self.enter(mark)
            else:
                self.value()
            while len(self._open) > depth:
                is_object = self._open[-1].closing == "}"
                if (self.member() is not None) if is_object else self.item():
                    break
            else:
                return

    def finish(self) -> None:
        """End the text."""
        if self._open or self.mark():
            raise ValueError("something follows the end of the text")

    def plain(self, value: Any, left: int = MAX_JSON_DEPTH) -> Any:
        """Return a value with its objects as dicts; a run in it is forgotten."""
        if not isinstance(value, (tuple, list)):
            return value
        if left == 0:
            raise ValueError(f"nested deeper than {MAX_JSON_DEPTH}")
        if isinstance(value, list):
            return [self.plain(item, left - 1) for item in value]
        self.run(value)
        members = {name: self.plain(item, left - 1) for name, item in value}
        if len(members) != len(value):
            raise ValueError("a key stands twice in one object")
        return members

    def run(self, value: Any) -> Any:
        """Return the run that an object stands for, once; None for any other value."""
        if isinstance(value, tuple) and len(value) == 1 and value[0][0] == self._mark_of_runs:
            return self._runs.pop(value[0][1], None)
        return None

    def _read(self) -> bool:
        """Read some more, at least as much as is held; False at the end."""
        if self._ended:
            return False
        raw = bytearray(self._raw)
        if len(raw) > MAX_VALUE_BYTES:
            raise ValueError(f"a value of more than {MAX_VALUE_BYTES} bytes, or no JSON")
        enough = len(raw) + max(self._piece_bytes, len(raw), len(self._text) - self._at)
        for chunk in self._chunks:
            self._count += len(chunk)
            raw += chunk
            if len(raw) >= enough:
                break
        else:
            self._ended = True
        if self._first:
            self._first = False
            raw = raw.removeprefix(codecs.BOM_UTF8)
        parts = [self._text[self._at :]]
        try:
            folded, self._raw = self._fold(bytes(raw), self._ended)
            for number, part in enumerate(folded):
                if number % 2 == 0:
                    parts.append(self._decode(part, number < len(folded) - 1 or self._ended))
                    continue
                self._taken += 1
                self._runs[self._taken] = part
                parts.append(f'{{"{self._mark_of_runs}":{self._taken}}}')
        except UnicodeDecodeError:
            raise ValueError("the text is not UTF-8") from None
        self._text, self._at = "".join(parts), 0
        return True


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError("a number that is too large")
    return number
