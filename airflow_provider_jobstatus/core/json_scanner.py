"""
A JSON text, read in constant memory.

A report's rows are counted while they pass, however many there are. A scanner reads each byte once, keeps a
few named members, and recognizes no more of JSON than strings and nesting.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Most bytes that are kept of a member's value; a longer value is forgotten.
KEPT_BYTES = 64 * 1024

#: Deepest nesting that is followed.
MAX_DEPTH = 1000

_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_PLAIN = rb'(?:[^"\[\]{}]++|' + _STRING + rb")*+"
# Text between two brackets, with whole innermost objects and arrays: passed at once where nothing is counted
# or kept apart.
_UNINTERESTING = re.compile(
    rb'(?:[^"\[\]{}]++|' + _STRING + rb"|\{" + _PLAIN + rb"\}|\[" + _PLAIN + rb"\])*+", re.DOTALL
)
# A quote alone begins a string without an end.
_TOKEN = re.compile(_STRING + rb'|["\[\]{},:]|[^\s"\[\]{},:]+', re.DOTALL)


class JsonScanner:
    """
    Reads the outermost object or array of a JSON text.

    :param keep: names of members of the outermost object whose values are kept.

    :ivar members: kept members: name to the JSON of the value.
    :ivar items: number of items of each array that is a member of the outermost object, by the member's name;
        under the empty name those of the outermost array itself.
    :ivar broken: whether the text can no longer become whole.
    :ivar whole: whether the text has ended where it should.
    :ivar followed: the first byte behind the outermost object or array; empty if nothing follows.
    """

    def __init__(self, keep: Iterable[str] = ()) -> None:
        self.members: dict[str, bytes] = {}
        self.items: dict[str, int] = {}
        self.broken = False
        self.whole = False
        self.followed = b""
        self._keep = frozenset(keep)
        self._enclosing = b""
        #: Of the member that is being read; empty between two.
        self._name = ""
        self._in_item = False
        #: Text of the value that is being kept, or None.
        self._kept: bytearray | None = None
        #: A string without an end so far.
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        """Read the next bytes."""
        text, self._rest = self._rest + chunk, b""
        at = 0
        while not self.broken and (found := _TOKEN.search(text, self._next(text, at))):
            if found[0] == b'"' and self._enclosing:
                self._rest = self._held(text[found.start() :])
                text = text[: found.start()]
                break
            self._token(found[0])
            self._take(text[at : found.end()])
            at = found.end()
        self._take(text[at:])

    def _next(self, text: bytes, at: int) -> int:
        """Return where in a text, from ``at`` on, the next token of interest may begin."""
        depth = len(self._enclosing)
        if depth > 2 or (depth == 2 and self._enclosing[-1:] == b"{"):
            return _UNINTERESTING.match(text, at).end()  # type: ignore[union-attr]
        return at

    def _held(self, string: bytes) -> bytes:
        """Return as much of a string without an end as the next bytes need before them."""
        if len(string) > KEPT_BYTES:
            self._kept = None
        elif self._kept is not None or self._at_name():
            return string
        backslashes = len(string) - len(string.rstrip(b"\\"))
        return b'"' + b"\\" * (backslashes % 2)

    def _take(self, text: bytes) -> None:
        if self._kept is not None:
            self._kept += text
            if len(self._kept) > KEPT_BYTES:
                self._kept = None

    def _token(self, token: bytes) -> None:
        """Move on by one token."""
        depth = len(self._enclosing)
        if depth == 0 and (self.whole or token not in (b"{", b"[")):
            self.followed = token[:1] if self.whole else b""
            self.broken, self.whole = True, False
        elif token in (b"]", b"}"):
            self._close(token)
        elif token == b",":
            if depth == self._item_level():
                self._begin_item()
            if depth == 1:
                self._end_member()
        elif token == b":":
            # The colon itself is kept next, and cut off with the white space around the value.
            if depth == 1 and self._name in self._keep:
                self._kept = bytearray()
        elif self._at_name():
            # No name that is counted or kept has escapes: names are compared as they stand.
            self._name = token[1:-1].decode("utf-8", "replace") or "\0"
            # Readers differ in which of two arrays counts.
            self.broken = token[:1] != b'"' or self._name in self.items
        else:
            self._begin(token, depth)

    def _at_name(self) -> bool:
        return self._enclosing == b"{" and not self._name

    def _begin(self, token: bytes, depth: int) -> None:
        """Begin a value."""
        if depth and depth == self._item_level() and not self._in_item:
            self._begin_item()
        if token in (b"[", b"{"):
            if token == b"[" and self._enclosing in (b"", b"{"):
                self.items.setdefault(self._name, 0)
                self._in_item = False
            self._enclosing += token
            self.broken = depth > MAX_DEPTH

    def _item_level(self) -> int:
        """Return the depth of the items that are counted here, or 0."""
        if self._enclosing[:1] == b"[":
            return 1
        return 2 if self._enclosing[:2] == b"{[" and self._name else 0

    def _begin_item(self) -> None:
        # A comma begins the item behind it.
        self.items[self._name] = self.items.get(self._name, 0) + 1
        self._in_item = True

    def _close(self, token: bytes) -> None:
        self.broken = self._enclosing[-1:] != (b"[" if token == b"]" else b"{")
        if len(self._enclosing) == 1:
            self._end_member()
        self._enclosing = self._enclosing[:-1]
        self.whole = not self.broken and not self._enclosing

    def _end_member(self) -> None:
        name, self._name = self._name, ""
        kept, self._kept = self._kept, None
        if kept is not None:
            self.broken = self.broken or name in self.members
            self.members[name] = bytes(kept).strip().removeprefix(b":").strip()
