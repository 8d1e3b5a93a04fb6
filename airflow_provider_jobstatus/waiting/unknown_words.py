"""Status words that are not known, each told of once, however often a number in it changes."""

from __future__ import annotations

import re

#: More shapes of words than these are not told of: what comes next is as new as these were.
MAX_SHAPES = 8

_WITH_DIGITS = re.compile(r"\S*\d\S*(?:\s+\S*\d\S*)*")


def shape(word: str) -> str:
    """Return what stays of a word that counts: ``"Sending 17 of 90000"`` and all like it are one."""
    return _WITH_DIGITS.sub("#", word).casefold()[:80]


class UnknownWords:
    """
    Shapes of the unknown words of one job.

    :param shapes: that were told of already, as :attr:`shapes` of an earlier one.
    """

    __slots__ = ("shapes",)

    def __init__(self, shapes: object = None) -> None:
        self.shapes = [*map(str, shapes)] if isinstance(shapes, (list, tuple)) else []

    def is_new(self, word: str) -> bool:
        """Return whether to tell of a word, and remember it."""
        known = shape(word)
        if known in self.shapes or len(self.shapes) >= MAX_SHAPES:
            return False
        self.shapes.append(known)
        return True
