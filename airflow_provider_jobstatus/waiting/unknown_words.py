"""Status words that are not known. Each is logged once, however often a number in it changes."""

from __future__ import annotations

import re

#: Only so many shapes of words are logged for a job: what comes next is as new as these were.
MAX_SHAPES = 8

_WITH_DIGITS = re.compile(r"\S*\d\S*(?:\s+\S*\d\S*)*")


def shape(word: str) -> str:
    """Return the part of a word that identifies it: ``"Sending 17 of 90000"`` and all like it are one."""
    return _WITH_DIGITS.sub("#", word).casefold()[:80]


def is_new(word: str, shapes: list[str]) -> bool:
    """
    Return whether to log a word, and remember it.

    :param shapes: of the words of the same job that were logged before; the word's own is added.
    """
    known = shape(word)
    if known in shapes or len(shapes) >= MAX_SHAPES:
        return False
    shapes.append(known)
    return True
