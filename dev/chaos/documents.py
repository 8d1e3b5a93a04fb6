"""
Without a server: replies of JSON, right and nearly right, read in outline and as a whole.

What a status flow makes of the two must be the same.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path

from dev.chaos.rig import Bar, command


def measure(_: Path, documents: int, seed: int) -> list[Bar]:
    """Compare so many documents, and return what was counted."""
    said, differ = compare(documents, seed)
    counted = [Bar(name, count) for name, count in sorted(said.items())]
    return [Bar("documents", documents), *counted, Bar("differ", len(differ), 0, differ)]


def compare(documents: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Return how many were taken and refused, and those on which the two readings differ."""
    from tests.support.documents import VENDORS, document, read_in_outline, read_whole

    dice = random.Random(seed)
    said: Counter[str] = Counter()
    differ = []
    for number in range(documents):
        vendor = list(VENDORS)[number % len(VENDORS)]
        body = document(dice, vendor)
        whole, outline = read_whole(vendor, body), read_in_outline(vendor, body, dice)
        said["refused" if whole == "error" else "taken"] += 1
        if whole != outline:
            differ.append(f"{vendor} {body!r}: whole {whole}, outline {outline}")
    return said, differ


if __name__ == "__main__":
    sys.exit(command("dev.chaos.documents", __doc__, measure, 300_000, "documents"))
