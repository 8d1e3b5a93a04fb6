"""The time that a body has which is streamed: the more of it passes, the more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

#: Of a streamed body, each piece of this size ...
CHUNK_BYTES = 256 * 1024
#: ... must pass within this time, in however many chunks: 1 KiB a second.
SECONDS_PER_CHUNK = 256.0


def paced(chunks: Iterable[bytes], extend: Callable[[float], None]) -> Iterator[bytes]:
    """
    Pass chunks on, and give each whole piece its time: a server may send a byte in each chunk.

    :param extend: moves the end of the call to so many seconds from now.
    """
    extend(SECONDS_PER_CHUNK)
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size >= CHUNK_BYTES:
            extend(SECONDS_PER_CHUNK)
            size = 0
        yield chunk
