"""
What a poll costs, and how late a job's end is known: many waits in one event loop.

    python -m benchmarks.waits [--waiters floor,ours] [--waits 1000,5000] [--tls] [--apart] [--heartbeat]

Compares by turns this provider's trigger with `HttpSensor`'s and with a floor: bare aiohttp, one session, one
coroutine a job. Each run is a process of its own; each job ends at random within 8 s, of 100 waits two
minutes later, and is asked for every 1 to 5 s. All waits begin at one moment, as after a triggerer's restart;
with ``--apart`` at random.

- CPU: seconds of the waiting process per 1,000 polls, from the first task to the last event.
- beyond: how long after its job's end a wait knows, less its interval.
- lag: by how much a sleep of 10 ms is longer, once the start burst is over.
- memory: of a process in which all wait and each has asked once, over the one in which none does, per wait.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from benchmarks.peers import WAITERS
from benchmarks.runs import Record, over, rounds, select, spread, unique

PEER = "http_sensor"
ALL = ("floor", "ours", PEER)
#: So many waits are too many for the peer: more polls a second than one core can send.
MANY = 10_000
#: So few waits make few polls: their jobs run for so many seconds more.
FEW_WAITS, LONGER = 100, 112.0
NAMES = {
    "floor": "floor",
    "ours": "`BatchJobTrigger`",
    "http_sensor": "`HttpSensorTrigger`",
}


def cases(
    waiters: Sequence[str],
    counts: Iterable[int],
    tls: bool = False,
    together: bool = True,
    heartbeat: bool = False,
) -> list[Record]:
    """Return the runs of a round."""
    made = []
    for count in counts:
        for waiter in waiters:
            if count >= MANY and waiter == PEER:
                continue
            case: Record = {"waiter": waiter, "waits": count, "tls": tls, "together": together}
            case["heartbeat"] = heartbeat
            if count >= MANY:
                case["interval"] = 5
            if count <= FEW_WAITS:
                case["hold"] = LONGER
            made.append(case)
    return made


def memory_cases(waiters: Sequence[str], count: int = 1000) -> list[Record]:
    """Return the runs in which memory is read: each has asked, and none has ended."""
    usual: Record = {
        "waits": count,
        "tls": False,
        "together": True,
        "hold": 7.0,
        "span": 1.0,
        "window": [5.5, 1.0],
    }
    return [{"waiter": waiter, **usual} for waiter in waiters]


def suite(quick: bool) -> list[Record]:
    """Return the runs of a round of everything."""
    ours = ALL[:2]
    if quick:
        made = [*cases(ALL, [1000]), *cases(ours, [1000], tls=True), *cases(ours, [1000], together=False)]
        return made + cases(ours, [1000], heartbeat=True) + memory_cases(ours)
    made = [*cases(ours, [100]), *cases(ALL, [1000, 5000]), *cases(ours, [MANY])]
    made += [*cases(ALL, [1000], tls=True), *cases(ours, [5000], tls=True)]
    # How it is when the waits have begun at any time: fewer polls meet in one turn of the loop.
    made += cases(ours, [1000, 5000], together=False)
    for tls in (False, True):
        made += cases(ours, [5000], tls, heartbeat=True)
    return made + memory_cases(ours)


def tables(records: Sequence[Record]) -> list[str]:
    """Return all tables in Markdown."""
    return [*table(records), "", *lag_table(records), "", *memory_table(records)]


def cost(measured: Record) -> float:
    """Return CPU seconds per 1,000 polls."""
    return float(measured["cpu"]) / float(measured["polls"]) * 1000


def table(records: Sequence[Record]) -> list[str]:
    """Return the lines of a table in Markdown: a line for each case."""
    lines = [
        "| waits | | start | trigger | CPU, ratio to floor | CPU s per 1,000 polls | connections per poll "
        "| beyond, p50 s | beyond, p99 s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for case in unique(records):
        if case.get("heartbeat") or case.get("window"):
            continue
        runs = select(records, case)
        floor = select(records, case, waiter="floor")
        costs = {number: cost(run) for number, run in runs.items()}
        ratios = over(costs, {number: cost(run) for number, run in floor.items()})
        opened = [run["server"]["connections"] / run["polls"] for run in runs.values()]
        lines.append(
            f"| {case['waits']:,} | {'TLS' if case['tls'] else 'HTTP'} "
            f"| {'together' if case['together'] else 'apart'} | {NAMES.get(case['waiter'], case['waiter'])} "
            f"| {spread(ratios)} | {spread(costs.values(), '.3f')} | {spread(opened, '.3f')} "
            f"| {spread((run['beyond']['p50'] for run in runs.values()), '.2f')} "
            f"| {spread((run['beyond']['p99'] for run in runs.values()), '.3f')} |"
        )
    return lines


def lag_table(records: Sequence[Record]) -> list[str]:
    """Return the table of the event loop's lag."""
    lines = [
        "| waits | | trigger | p50 ms | p99 ms | p99, ratio to floor | max ms | max with the start, ms |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for case in unique(records):
        if not case.get("heartbeat"):
            continue
        runs = select(records, case)
        floor = select(records, case, waiter="floor")

        def of(rank: str, runs: dict[int, Record] = runs) -> dict[int, float]:
            return {number: run["lags"][rank] * 1000 for number, run in runs.items()}

        worst = [run["worst_lag"] * 1000 for run in runs.values()]
        lines.append(
            f"| {case['waits']:,} | {'TLS' if case['tls'] else 'HTTP'} "
            f"| {NAMES.get(case['waiter'], case['waiter'])} | {spread(of('p50').values(), '.1f')} "
            f"| {spread(of('p99').values(), '.1f')} | {spread(over(of('p99'), of('p99', floor)))} "
            f"| {spread(of('max').values(), '.0f')} | {spread(worst, '.0f')} |"
        )
    return lines


def memory_table(records: Sequence[Record]) -> list[str]:
    """Return the table of the memory per wait."""
    lines = ["| trigger | KiB per wait, 1,000 waits |", "| --- | --- |"]
    for case in unique(records):
        if case.get("window"):
            grown = [run["window"]["memory"] / case["waits"] / 1024 for run in select(records, case).values()]
            lines.append(f"| {NAMES.get(case['waiter'], case['waiter'])} | {spread(grown, '.1f')} |")
    return lines


def main() -> None:
    """Measure some cases and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--waiters", default="floor,ours", help=f"of {', '.join(WAITERS)}")
    parser.add_argument("--waits", default="1000", help="how many, separated by commas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tls", action="store_true", help="over TLS")
    parser.add_argument("--apart", action="store_true", help="first polls at random in the interval")
    parser.add_argument("--heartbeat", action="store_true", help="measure the lag of the event loop")
    parser.add_argument("--memory", action="store_true", help="measure the memory")
    arguments = parser.parse_args()
    waiters = arguments.waiters.split(",")
    counts = [int(count) for count in arguments.waits.split(",")]
    if arguments.memory:
        chosen = [case for count in counts for case in memory_cases(waiters, count)]
    else:
        chosen = cases(waiters, counts, arguments.tls, not arguments.apart, arguments.heartbeat)
    records = rounds(chosen, arguments.rounds, lambda _: None)
    show = memory_table if arguments.memory else lag_table if arguments.heartbeat else table
    print("\n".join(show(records)))


if __name__ == "__main__":
    main()
