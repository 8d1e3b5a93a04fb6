"""The table that a chaos run ends with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_SHOWN = 10


@dataclass(frozen=True)
class Bar:
    """One line.

    :param value: what was counted
    :param most: what it may be at most, None if it is only told
    :param details: what was counted, to be shown if there was too much of it
    """

    name: str
    value: int
    most: int | None = None
    details: Iterable[object] = field(default=(), repr=False)

    @property
    def missed(self) -> bool:
        """Whether there is too much of it."""
        return self.most is not None and self.value > self.most


def show(title: str, bars: Sequence[Bar], replay: str) -> int:
    """Print the table, and what was missed; return the exit code.

    :param title: what the table is of
    :param bars: its lines
    :param replay: the command that repeats the run
    """
    width = max(len(bar.name) for bar in bars)
    print(f"\n{title}")
    for bar in bars:
        print(f"  {bar.name:<{width}}  {bar.value:>12,}{'   <-- must be 0' if bar.missed else ''}")
    for bar in bars:
        if bar.missed or bar.most is None:
            for detail in list(bar.details)[:_SHOWN]:
                print(f"    {bar.name}: {detail}")
    missed = [bar.name for bar in bars if bar.missed]
    print(f"{'missed: ' + ', '.join(missed) if missed else 'all bars are met'}; to repeat it: {replay}\n")
    return 1 if missed else 0
