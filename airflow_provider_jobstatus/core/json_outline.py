"""
A reply of JSON that may be too large to hold, read block by block.

A finished job's reply may carry all its results, hundreds of megabytes of them, before or after its status.
Each block is made a small JSON text of its own and parsed like any other reply. So the outline takes and
refuses what :func:`~airflow_provider_jobstatus.core.responses.load_json` does, holds little, and no block
takes long.
"""

from __future__ import annotations

import json
import math
import re
import uuid
from codecs import BOM_UTF8
from collections.abc import Callable, Collection, Iterable
from typing import Any

from airflow_provider_jobstatus.core.strict_json import (
    MAX_JSON_DEPTH,
    brackets,
    deepest,
    parse,
    without_escapes,
)

#: Within so many bytes an outline and the whole say the same; beyond, not all of a reply need be read.
AGREED_BYTES = 8 * 1024 * 1024
#: Bytes that are parsed in one step: whatever they hold, an event loop is not held up.
BLOCK_BYTES = 32 * 1024
#: Bytes that are held of a string longer than a block, and most characters that are kept of one. No word and
#: no id is as long, and no text is shown as a whole.
KEPT_BYTES = 48 * 1024
#: Most bytes that are held of a value without an end so far.
MAX_HELD_BYTES = 64 * 1024

_SPACE = b" \t\n\r"
_CHARS = re.compile(rb'(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_ENDED_AND_BEGUN = re.compile(rb"([\]}]*+)([\[{]*+)")
_OTHER = {"[": "]", "{": "}"}
#: The name under which an object holds the container that is open within it; no vendor uses it.
_WAY = uuid.uuid4().hex


class JsonOutline:
    """
    Reads the outermost object or array of a JSON text, and keeps a few members.

    :param keep: names of the members that are kept, of the outermost object and of objects that are kept. Of
        an array no item is kept; but what is empty stays empty, and what is not does not become so.
    :param enough: called at each block beyond :data:`AGREED_BYTES` with what is kept so far of the
        outermost value; True ends the reading.
    :param must: members that a text of more than :data:`AGREED_BYTES` is refused without.

    :ivar kept: what is kept of the outermost value.
    :ivar block_bytes: what is parsed in one step.
    """

    def __init__(
        self,
        keep: Iterable[str],
        enough: Callable[[Any], bool] = lambda _: False,
        must: Collection[str] = (),
    ) -> None:
        self.kept: Any = None
        self.block_bytes = BLOCK_BYTES
        self._keep = frozenset(keep)
        self._enough = enough
        self._must = must
        self._size = 0
        #: What has come of the next block.
        self._block = bytearray()
        #: What of the last block is not parsed yet.
        self._rest = b""
        #: The brackets that are open; of each object the names so far; and what is kept of it, or None.
        self._open = ""
        self._names: list[set[str]] = []
        self._targets: list[Any] = []

    def feed(self, piece: bytes) -> bool:
        """
        Read the next bytes, and return whether no more are needed.

        :raises ValueError: the text so far is not the beginning of any valid JSON.
        """
        # Blocks do not depend on how a text was cut on its way.
        self._block += piece
        while len(self._block) >= self.block_bytes:
            block = bytes(self._block[: self.block_bytes])
            del self._block[: self.block_bytes]
            self._read(block, last=False)
            if self._size > AGREED_BYTES:
                # Results may be named, one by one: not all of their names are to be held.
                self._names = [names & self._keep for names in self._names]
                if self._enough(self.kept):
                    return True
        return False

    def finish(self) -> None:
        """
        End the text.

        :raises ValueError: the text is not whole, or does not have what it must.
        """
        self._read(bytes(self._block), last=True)
        named = self.kept if isinstance(self.kept, dict) else {}
        if self._size > AGREED_BYTES and not named.keys() >= set(self._must):
            raise ValueError("the text is very long, and does not say what it is about")

    def json(self) -> bytes:
        """Return what is kept, as JSON."""
        return json.dumps(self.kept).encode()

    def _read(self, block: bytes, *, last: bool) -> None:
        """Parse what is complete at the end of a block: all before its last comma."""
        text = self._rest + (block if self._size else block.removeprefix(BOM_UTF8))
        self._size += len(block)
        outside = without_escapes(text).split(b'"')
        in_string = len(outside) % 2 == 0
        end = len(text)
        if in_string:
            end -= len(outside.pop()) + 1
        if last:
            if in_string:
                raise ValueError("a string without an end")
            self._parse(text, brackets(outside[::2]), last=True)
            return
        if b"," not in b"".join(outside[::2]):
            self._rest = _shortened(text, end + 1) if in_string else _without_space(text)
            if len(self._rest) > MAX_HELD_BYTES:
                raise ValueError("a word or number without an end")
            return
        while (comma := outside[-1].rfind(b",")) < 0:
            end -= sum(len(part) + 1 for part in outside[-2:])
            del outside[-2:]
        end += comma - len(outside[-1])
        outside[-1] = outside[-1][:comma]
        self._rest = text[end + 1 :]
        self._parse(text[:end], brackets(outside[::2]), last=False)

    def _parse(self, text: bytes, marks: bytes, *, last: bool) -> None:
        """Parse what follows a comma, or the beginning, and goes to the next comma or the end."""
        depth = len(self._open)
        if depth + deepest(marks) > MAX_JSON_DEPTH:
            raise ValueError(f"nested deeper than {MAX_JSON_DEPTH}")
        unmatched, fewer = b"", marks
        while len(unmatched) != len(fewer):
            unmatched, fewer = fewer, fewer.replace(b"[]", b"").replace(b"{}", b"")
        ended_and_begun = _ENDED_AND_BEGUN.fullmatch(unmatched)
        bare = text.strip(_SPACE)
        # A comma is followed by no end, and follows no beginning; nor does one comma follow another.
        misplaced = (depth and bare[:1] in b"]}") or (not last and bare[-1:] in b"[{")
        if ended_and_begun is None or misplaced or len(ended_and_begun[1]) > depth:
            raise ValueError("a bracket or a comma that is out of place")
        left = depth - len(ended_and_begun[1])
        begun = ended_and_begun[2].decode()
        still_open = self._open[:left] + begun
        if bool(still_open) == last:
            raise ValueError("the text ends early, or goes on after its end")
        before = "".join(_TO_OPEN[bracket] for bracket in self._open[:-1]) + self._open[-1:]
        after = "".join(_OTHER[bracket] for bracket in reversed(still_open))
        self._take(parse(before + text.decode() + after), left, len(begun))
        self._open = still_open

    def _take(self, value: Any, left: int, begun: int) -> None:
        """Keep what was parsed; ``left`` containers of before and ``begun`` new ones are open now."""
        last = len(self._open) - 1
        container: Any = {"": value}
        target: Any = None
        if last < 0:
            self.kept = self._of(value)
            target = {"": self.kept}
        for level, names in enumerate(self._names):
            if isinstance(value, dict):
                inner = value.pop(_WAY, None)
                self._add(value, names, self._targets[level])
            else:
                inner = value.pop(0) if level < last else None
                if value and self._targets[level] == []:
                    self._targets[level].append(None)
            if level == left - 1:
                container, target = value, self._targets[level]
            value = inner
        del self._names[left:], self._targets[left:]
        for _ in range(begun):
            # What is open stands last.
            at = next(reversed(container)) if isinstance(container, dict) else -1
            container, target = container[at], target.get(at) if isinstance(target, dict) else None
            self._names.append(set(container) if isinstance(container, dict) else set())
            self._targets.append(target)

    def _add(self, members: dict[str, Any], names: set[str], target: Any) -> None:
        """Add members to an object that has begun before."""
        if not names.isdisjoint(members):
            raise ValueError("a key stands twice in one object")
        names.update(members if self._size <= AGREED_BYTES else self._keep.intersection(members))
        if target is not None:
            target.update(self._of(members))

    def _of(self, value: Any) -> Any:
        """Return what is kept of a value."""
        if isinstance(value, dict):
            kept = {name: self._of(inner) for name, inner in value.items() if name in self._keep}
            return kept if len(kept) == len(value) else {**kept, "": None}
        if isinstance(value, list):
            return [None] if value else []
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)
        return value[:KEPT_BYTES] if isinstance(value, str) else value


_TO_OPEN = {"{": f'{{"{_WAY}":', "[": "["}


def _without_space(text: bytes) -> bytes:
    """Return a text with no more space at its end than parts one word from the next."""
    held = text.rstrip(_SPACE)
    return held if len(held) == len(text) else held + b" "


def _shortened(text: bytes, begin: int) -> bytes:
    """
    Return a text that ends in a string which has no end yet, without what lies between its beginning and end.

    :param begin: where the string begins, after its quote.
    :raises ValueError: what is taken out does not belong into a string.
    """
    # A character or an escape may be cut here and there.
    first = _CHARS.match(text, begin, begin + KEPT_BYTES).end()  # type: ignore[union-attr]
    whole = _CHARS.match(text, begin).end()  # type: ignore[union-attr]
    start, end = _start_of_character(text, first), _start_of_character(text, whole)
    text[start:end].decode()
    return text[:start] + text[end:]


def _start_of_character(text: bytes, at: int) -> int:
    """Return ``at``, or where the character begins that may be cut there."""
    for back in range(min(at, 4)):
        byte = text[at - 1 - back]
        if byte & 0xC0 != 0x80:
            return at - 1 - back if byte >= 0xC0 else at
    return at
