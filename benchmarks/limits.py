"""A key with a limit: 1,000 waits at a QuestionPro that enforces its 300 calls in any 60 s."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.runs import Record, select, spread, unique

#: What the server allows, in how many seconds.
LIMIT, WINDOW = 300, 60.0
NAMES = {"floor_questionpro": "floor", "ours_questionpro": "`BatchJobTrigger`"}


def cases(quick: bool, seconds: float = 600.0) -> list[Record]:
    """
    Return the runs of a round.

    :param seconds: how long each lasts, unless it is a quick one.
    """
    usual: Record = {"settings": {"limit": LIMIT, "window": WINDOW}, "together": False, "hold": 1e6}
    usual |= {"waits": 100, "interval": 10.0, "stop": 65.0} if quick else {"interval": 30.0, "stop": seconds}
    return [{"waiter": waiter, **usual} for waiter in NAMES]


def tables(records: Sequence[Record]) -> list[str]:
    """Return the table in Markdown."""
    lines = [
        "| | waits | seconds | calls refused (429) | polls answered per wait: least, median, most "
        "| longest time without an answer, in fair shares: median wait | worst wait |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for case in unique(records):
        waits = case.get("waits", 1000)
        share = waits / (LIMIT / WINDOW)
        runs = list(select(records, case).values())
        polls = [run["turns"]["polls"] for run in runs]
        gaps = [run["turns"]["gaps"] for run in runs]
        refused = spread((run["server"]["counts"].get("refused", 0) for run in runs), ".0f")
        lines.append(
            f"| {NAMES[case['waiter']]} | {waits:,} | {case['stop']:.0f} | {refused} "
            f"| {min(poll['min'] for poll in polls)}, {spread((poll['p50'] for poll in polls), '.0f')}, "
            f"{max(poll['max'] for poll in polls)} | {spread(gap['p50'] / share for gap in gaps)} "
            f"| {spread(gap['max'] / share for gap in gaps)} |"
        )
    return lines
