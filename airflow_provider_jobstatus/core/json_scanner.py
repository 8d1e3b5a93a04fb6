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
# or kept.
_UNINTERESTING = re.compile(
    rb'(?:[^"\[\]{}]++|' + _STRING + rb"|\{" + _PLAIN + rb"\}|\[" + _PLAIN + rb"\])*+", re.DOTALL
)
_IN_STRING = re.compile(rb'["\\]')
_IN_JSON = re.compile(rb'["\[\]{},:]|[^\s"\[\]{},:]+')


class JsonScanner:
    """
    Reads the outermost object or array of a JSON text.

    :param keep: names of members of the outermost object whose values are kept.

    :ivar members: kept members: name to the JSON of the value.
    :ivar items: number of items of each array that is a member of the outermost object, by the member's name;
        under the empty name those of the outermost array itself.
    :ivar broken: whether the text can no longer become whole.
    :ivar whole: whether the text has ended where it should.
    :ivar followed: the first token behind the outermost object or array; empty if nothing follows.
    """

    def __init__(self, keep: Iterable[str] = ()) -> None:
        self.members: dict[str, bytes] = {}
        self.items: dict[str, int] = {}
        self.whole = False
        self.followed = b""
        self._keep = frozenset(keep)
        self._enclosing = bytearray()
        self.broken = False
        self._in_string = False
        #: Characters at the start of the next chunk that are escaped.
        self._escaped = 0
        self._name = ""
        self._in_item = False
        #: Text of the name or value that is being kept, or None.
        self._kept: bytearray | None = None
        self._in_name = False

    def feed(self, chunk: bytes) -> None:
        """Read the next bytes."""
        at, self._escaped = self._escaped, 0
        begin = 0
        while at < len(chunk):
            if not self._in_string and self._is_uninteresting():
                at = _UNINTERESTING.match(chunk, at).end()  # type: ignore[union-attr]
            found = (_IN_STRING if self._in_string else _IN_JSON).search(chunk, at)
            if found is None:
                at = len(chunk)
                break
            at = found.end()
            if self._in_string:
                if found[0] == b"\\":
                    at += 1
                    continue
                self._in_string = False
                self._take(chunk[begin:at])
                begin = at
                if self._in_name:
                    self._end_name()
            else:
                self._take(chunk[begin : found.start()])
                begin = found.start()
                self._token(found[0])
                self._take(chunk[begin:at])
                begin = at
        self._take(chunk[begin:])
        self._escaped = max(at - len(chunk), 0)

    def _is_uninteresting(self) -> bool:
        depth = len(self._enclosing)
        return depth > 2 or (depth == 2 and self._enclosing[-1:] == b"{")

    def _take(self, text: bytes) -> None:
        if self._kept is not None:
            self._kept += text
            if len(self._kept) > KEPT_BYTES:
                self._kept = None

    def _token(self, token: bytes) -> None:
        """Move on by one token outside strings."""
        depth = len(self._enclosing)
        if self.broken or (depth == 0 and (self.whole or token not in (b"{", b"["))):
            if self.whole:
                self.followed = token
            self.broken, self.whole = True, False
        elif token in (b"]", b"}"):
            self._close(token)
        elif token == b",":
            if depth and depth == self._item_level():
                self._begin_item()
            if depth == 1:
                self._end_member()
        elif token != b":":
            self._begin(token, depth)
        elif depth == 1 and self._name in self._keep:
            self._kept = bytearray()
            # The colon itself is kept next, and cut off with the white space around the value.

    def _begin(self, token: bytes, depth: int) -> None:
        """Begin a value or a name."""
        in_object = depth > 0 and self._enclosing[-1:] == b"{"
        if depth == 1 and in_object and not self._name:
            self.broken = token != b'"'
            self._in_name = True
            self._kept = bytearray()
        elif depth and depth == self._item_level() and not self._in_item:
            self._begin_item()
        if token in (b"[", b"{"):
            self._enclosing += token
            self.broken = self.broken or depth > MAX_DEPTH
            if token == b"[" and (depth == 0 or (depth == 1 and in_object)):
                self.items.setdefault(self._name, 0)
                self._in_item = False
        self._in_string = token == b'"'

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
        depth = len(self._enclosing)
        if bytes(self._enclosing[-1:]) != (b"[" if token == b"]" else b"{"):
            self.broken, self.whole = True, False
            return
        if depth == 1:
            self._end_member()
        del self._enclosing[-1:]
        self.whole = depth == 1 and not self.broken

    def _end_name(self) -> None:
        # Names with escapes are none of ours; they are compared as they stand.
        self._name = bytes(self._kept or b"").strip()[1:-1].decode("utf-8", "replace") or "\0"
        self._kept = None
        self._in_name = False
        # Readers differ in which of two arrays counts.
        self.broken = self.broken or self._name in self.items

    def _end_member(self) -> None:
        name, self._name = self._name, ""
        kept, self._kept = self._kept, None
        if not name or kept is None or name not in self._keep:
            return
        if name in self.members:
            self.broken = True
            return
        self.members[name] = bytes(kept).strip().removeprefix(b":").strip()
