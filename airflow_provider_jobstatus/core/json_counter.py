"""Items of a JSON array, counted while they pass, some twenty times as fast as by the scanner alone."""

from __future__ import annotations

import re

from airflow_provider_jobstatus.core.json_scanner import MAX_DEPTH, JsonScanner

#: Bytes that are counted together: they stay in a processor's cache.
PIECE_BYTES = 64 * 1024
#: Deepest nesting within one piece that is counted here.
PIECE_DEPTH = 16

_ESCAPES = re.compile(rb'\\["\\]')
_PLAIN = bytes(set(range(256)) - set(b'"[]{},'))
_INNERMOST = re.compile(rb"\{,*+\}|\[,*+\]")
_CLOSING = re.compile(rb"[\]}]")


class ItemCounter(JsonScanner):
    """
    A :class:`JsonScanner` that passes whole pieces of an array at once, with the same result: a piece that
    may hold the array's end, or anything odd, is left to the scanner.
    """

    def feed(self, chunk: bytes) -> None:
        """Read the next bytes."""
        for at in range(0, len(chunk), PIECE_BYTES):
            if self.broken:
                break
            piece = chunk[at : at + PIECE_BYTES]
            if not self._pass(piece):
                super().feed(piece)

    def _pass(self, piece: bytes) -> bool:
        """Read a piece that lies within the array; return False if it may not, and is still to be read."""
        level = self._item_level()
        if not level or not self._in_item or self._kept is not None:
            return False
        text = self._rest + piece
        if b"\\" in text:
            text = _ESCAPES.sub(b"", text)
        escaped = text.endswith(b"\\")
        text = text.translate(None, _PLAIN)
        in_string = text.count(b'"') % 2 == 1
        if escaped and not in_string:
            return False
        # Two quotes next to each other go, wherever they stand: what is within a string remains within one.
        text = text.replace(b'""', b"")
        if b'"' in text:
            text = b"".join(text.split(b'"')[::2])
        # Only brackets and commas are left. What closes is taken away with what it closes, from the inside.
        text = self._enclosing[level:] + text
        for _ in range(PIECE_DEPTH):
            if not _CLOSING.search(text):
                break
            text = _INNERMOST.sub(b"", text)
        else:
            return False
        inner = text.lstrip(b",")
        opened = inner.translate(None, b",")
        if level + len(opened) + PIECE_DEPTH > MAX_DEPTH:
            return False
        # Each comma between items begins one.
        self.items[self._name] += len(text) - len(inner)
        self._enclosing = self._enclosing[:level] + opened
        self._rest = b'"' + b"\\" * escaped if in_string else b""
        return True
