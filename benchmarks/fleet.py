"""
What a list of jobs saves: many waits, where the vendor can be asked about all of them at once.

Three questions: what 1,000 waits cost an interval while no job ends; from how many waits on a list costs less
than a question about each; and how the price grows with entries of a list that nobody waits for.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.runs import Record, over, select, spread, unique

NAMES = {
    ("floor_ruler", None): "floor, single polls",
    ("ours_ruler", "never"): "`BatchJobTrigger`, Ruler, single polls",
    ("ours_ruler", None): "`BatchJobTrigger`, Ruler",
    ("ours_talkdesk", None): "`BatchJobTrigger`, Talkdesk",
}
FEW_WAITS = (2, 4, 8, 16)
STRANGERS = (0, 500, 5000)
#: Waits in a list with strangers.
AMONG_STRANGERS = 100


def cases(quick: bool) -> list[Record]:
    """Return the runs of a round."""
    made = [
        _case("many", waiter, 1000, 2.0 if quick else 5.0, 2 if quick else 4, lists=lists)
        for waiter, lists in NAMES
    ]
    for count in FEW_WAITS[::2] if quick else FEW_WAITS:
        made += [
            _case("few", "ours_ruler", count, 0.5, 10 if quick else 20, lists=lists)
            for lists in ("never", "always")
        ]
    for strangers in STRANGERS[:2] if quick else STRANGERS:
        case = _case("strangers", "ours_ruler", AMONG_STRANGERS, 1.0, 5 if quick else 15, lists="always")
        made.append({**case, "settings": {"strangers": strangers}})
    made.append(_case("strangers", "ours_ruler", AMONG_STRANGERS, 1.0, 5 if quick else 15, lists="never"))
    return made


def _case(part: str, waiter: str, count: int, interval: float, intervals: int, lists: str | None) -> Record:
    # Each wait has asked once when the window opens, and no job ends before it has closed.
    begin = 1.5 * interval + 1.0
    length = intervals * interval
    return {
        "part": part,
        "waiter": waiter,
        "waits": count,
        "interval": interval,
        "together": False,
        "lists": lists,
        "hold": begin + length + 0.5,
        "span": interval,
        "window": [begin, length],
    }


def per_interval(run: Record, case: Record) -> tuple[float, float]:
    """Return requests and CPU seconds per interval, while no job ends."""
    window = run["window"]
    intervals = window["seconds"] / case["interval"]
    counts = window["counts"]
    return (counts.get("status", 0) + counts.get("list", 0)) / intervals, window["cpu"] / intervals


def tables(records: Sequence[Record]) -> list[str]:
    """Return the tables in Markdown."""
    return [*_many(records), "", *_few(records), "", *_strangers(records)]


def _of(records: Sequence[Record], part: str) -> list[Record]:
    return [case for case in unique(records) if case["part"] == part]


def _many(records: Sequence[Record]) -> list[str]:
    lines = [
        "| 1,000 waits | requests per interval | CPU, ratio to the floor of single polls "
        "| CPU ms per interval | confirmations per wait | beyond, p99 s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    cases = _of(records, "many")
    for case in cases:
        runs = select(records, case)
        spent = {number: per_interval(run, case)[1] for number, run in runs.items()}
        floor = {number: per_interval(run, case)[1] for number, run in select(records, cases[0]).items()}
        confirmed = [run["server"]["counts"]["terminal"] / case["waits"] for run in runs.values()]
        lines.append(
            f"| {NAMES[case['waiter'], case['lists']]} "
            f"| {spread((per_interval(run, case)[0] for run in runs.values()), '.1f')} "
            f"| {spread(over(spent, floor), '.3f')} "
            f"| {spread((cpu * 1000 for cpu in spent.values()), '.1f')} | {spread(confirmed)} "
            f"| {spread((run['beyond']['p99'] for run in runs.values()), '.2f')} |"
        )
    return lines


def _few(records: Sequence[Record]) -> list[str]:
    lines = [
        "| waits | requests per interval: single, list | CPU ms per interval: single | list "
        "| CPU, list over single |",
        "| --- | --- | --- | --- | --- |",
    ]
    for case in _of(records, "few"):
        if case["lists"] == "never":
            single = select(records, case)
            listed = select(records, case, lists="always")
            both = [
                {number: per_interval(run, case) for number, run in runs.items()} for runs in (single, listed)
            ]
            spent = [{number: pair[1] for number, pair in half.items()} for half in both]
            asked = ", ".join(spread((pair[0] for pair in half.values()), ".1f") for half in both)
            shown = (spread((cpu * 1000 for cpu in half.values()), ".2f") for half in spent)
            lines.append(
                f"| {case['waits']} | {asked} | {' | '.join(shown)} | {spread(over(spent[1], spent[0]))} |"
            )
    return lines


def _strangers(records: Sequence[Record]) -> list[str]:
    lines = [
        f"| entries that are nobody's, beside {AMONG_STRANGERS} | requests per interval "
        "| CPU ms per interval | CPU, ratio to single polls |",
        "| --- | --- | --- | --- |",
    ]
    cases = _of(records, "strangers")
    single = {number: per_interval(run, cases[-1])[1] for number, run in select(records, cases[-1]).items()}
    for case in cases:
        pairs = {number: per_interval(run, case) for number, run in select(records, case).items()}
        spent = {number: pair[1] for number, pair in pairs.items()}
        entries = f"{case['settings']['strangers']:,}" if case.get("settings") else "single polls"
        lines.append(
            f"| {entries} | {spread((pair[0] for pair in pairs.values()), '.1f')} "
            f"| {spread((cpu * 1000 for cpu in spent.values()), '.1f')} | {spread(over(spent, single))} |"
        )
    return lines
