"""Whether memory grows: a million polls of 1,000 waits that end and are followed by others."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.runs import Record

#: The beginning, in which pools and caches fill, is left out of the slope.
WARM = 0.2
BLOCKS = 16


def cases(quick: bool, polls: int = 1_000_000) -> list[Record]:
    """
    Return the one run.

    :param polls: how many, unless it is a quick one.
    """
    return [{"module": "benchmarks.soaking", "polls": 60_000 if quick else polls}]


def slope(samples: Sequence[Sequence[float]]) -> tuple[float, float]:
    """
    Return by how many KiB memory grew per 100,000 polls, and the standard error of that.

    Neighbouring samples are alike, so that the error is that of the means of blocks.

    :param samples: of seconds, polls and bytes.
    """
    later = samples[int(len(samples) * WARM) :]
    size = max(len(later) // BLOCKS, 1)
    blocks = [later[at : at + size] for at in range(0, len(later) - size + 1, size)]
    polls = [statistics.mean(sample[1] for sample in block) / 1e5 for block in blocks]
    memory = [statistics.mean(sample[2] for sample in block) / 1024 for block in blocks]
    steep, start = statistics.linear_regression(polls, memory)
    rest = [kib - start - steep * at for at, kib in zip(polls, memory, strict=True)]
    middle = statistics.mean(polls)
    width = sum((at - middle) ** 2 for at in polls)
    error = (sum(value**2 for value in rest) / max(len(rest) - 2, 1) / width) ** 0.5
    return steep, error


def tables(records: Sequence[Record]) -> list[str]:
    """Return the table in Markdown."""
    lines = [
        "| polls | waits | connections | MiB after a fifth | at the end | slope, KiB per 100,000 polls "
        "| open files before, after |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for record in records:
        run = record["measured"]
        samples = run["samples"]
        steep, error = slope(samples)
        early, late = (samples[int(len(samples) * share)][2] / 2**20 for share in (WARM, 0.999))
        lines.append(
            f"| {run['polls']:,} | {run['waits']:,} | {run['connections']:,} | {early:.1f} | {late:.1f} "
            f"| {steep:+.1f} ± {2 * error:.1f} | {run['files'][0]}, {run['files'][1]} |"
        )
    return lines
