"""What rows consist of, and what takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from airflow_provider_jobstatus.core.row_runs import RowRun

#: Kinds of cells. ``json`` is any value of JSON; in a file of cells its text.
Kind = Literal["text", "integer", "number", "flag", "integers", "texts", "json"]


@dataclass(frozen=True)
class RowLayout:
    """
    The columns of rows, each with the kind of its cells.

    :param shared: columns whose cells neighbouring rows have in common; they come first.
    :param own: columns of each row.
    :param rare: of ``own``, those that an object of JSON leaves out where they are empty.
    """

    shared: Mapping[str, Kind]
    own: Mapping[str, Kind]
    rare: frozenset[str] = field(default=frozenset())


class RowSink(Protocol):
    """Takes rows."""

    def share(self, cells: Mapping[str, Any]) -> bytes:
        """Return the cells that rows have in common, to be given with each of the rows."""
        ...

    def add(self, shared: bytes, cells: Mapping[str, Any]) -> None:
        """Take a row; a cell that is missing is empty."""
        ...

    def add_run(self, shared: bytes, run: RowRun) -> None:
        """Take the rows of a run; its texts are the first two own columns."""
        ...
