"""
Without a server: replies of JSON, right and nearly right, read in outline and as a whole.

What a status flow makes of the two must be the same.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence

from dev.chaos.table import Bar, show


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and print the table; the exit code is 1 if the bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m dev.chaos.documents", description=__doc__)
    parser.add_argument("--documents", type=int, default=300_000)
    parser.add_argument("--seed", type=int, default=None, help="default: any")
    given = parser.parse_args(arguments)
    seed = random.randrange(1_000_000) if given.seed is None else given.seed
    print(f"{given.documents} documents, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="jobstatus-chaos-") as folder:
        # Airflow writes its configuration where it is imported first.
        os.environ["AIRFLOW_HOME"] = folder
        said, differ = compare(given.documents, seed)
    bars = [
        Bar("documents", given.documents),
        *(Bar(name, count) for name, count in sorted(said.items())),
        Bar("differ", len(differ), 0, differ),
    ]
    replay = f"python -m dev.chaos.documents --documents {given.documents} --seed {seed}"
    return show("Replies read in outline and as a whole", bars, replay)


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
    sys.exit(main())
