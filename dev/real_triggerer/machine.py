"""What processes have cost, from ``/proc`` (Linux)."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
#: Of the line ``cpu`` in ``/proc/stat``: user, nice, system, irq, softirq.
_BUSY = (0, 1, 2, 5, 6)


@dataclass(frozen=True)
class Process:
    """
    A process, also one that has ended and that its parent has not asked for yet.

    :param cpu: seconds of its own and of its children that have ended and were asked for.
    """

    pid: int
    parent: int
    session: int
    cpu: float


@dataclass(frozen=True)
class Memory:
    """
    Of some processes, in MiB.

    :param rss: pages that several share count for each.
    :param pss: pages that several share count once, in parts.
    """

    rss: float = 0.0
    pss: float = 0.0


def processes() -> list[Process]:
    """Return all processes."""
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_bytes()
            except OSError:
                continue
            # The name in parentheses may itself hold spaces and parentheses.
            fields = stat.rpartition(b")")[2].split()
            cpu = sum(map(int, fields[11:15])) / TICKS
            found.append(Process(int(entry.name), int(fields[1]), int(fields[3]), cpu))
    return found


def session_cpu(session: int) -> float:
    """
    Return the CPU seconds of all processes of a session since they began, of those that have ended too.

    :param session: process id of its leader.
    """
    return sum(process.cpu for process in processes() if process.session == session)


def descendants_cpu(root: int, leave_out: Collection[int] = ()) -> float:
    """
    Return the CPU seconds of all processes below one, of those that have ended too.

    :param root: process id; what itself and its own ended children have cost does not count.
    :param leave_out: process ids of children that do not count, nor what is below them.
    """
    children: dict[int, list[Process]] = {}
    for process in processes():
        children.setdefault(process.parent, []).append(process)
    total, queue = 0.0, [root]
    while queue:
        for child in children.get(queue.pop(), ()):
            if child.pid not in leave_out:
                total += child.cpu
                queue.append(child.pid)
    return total


def machine_cpu() -> float:
    """Return the CPU seconds of the whole machine since it began."""
    fields = (PROC / "stat").read_text().splitlines()[0].split()[1:]
    return sum(int(fields[column]) for column in _BUSY) / TICKS


def session_memory(session: int) -> Memory:
    """
    Return what the processes of a session hold.

    :param session: process id of its leader.
    """
    rss = pss = 0
    for process in processes():
        if process.session == session:
            try:
                lines = (PROC / str(process.pid) / "smaps_rollup").read_text().splitlines()[1:]
            except OSError:
                continue  # has ended
            sizes = {name: int(size.split()[0]) for name, _, size in (line.partition(":") for line in lines)}
            rss += sizes.get("Rss", 0)
            pss += sizes.get("Pss", 0)
    return Memory(rss / 1024, pss / 1024)
