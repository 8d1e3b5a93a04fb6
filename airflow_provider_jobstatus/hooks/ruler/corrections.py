"""Rejected rows, made ready to be corrected and uploaded again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_provider_jobstatus.core.errors import UnexpectedResponse
from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.hooks.ruler.upload_columns import OF_FAILURES

#: Most messages that are counted each by itself, and most rows that are named for each.
MAX_MESSAGES, MAX_NUMBERS = 1000, 20
_NUMBER, _MESSAGE = (name.casefold() for name in OF_FAILURES)


class Corrections:
    """
    Takes Ruler's own columns out of a file of failures, and counts what they say.

    The page's sample has rows with another number of cells than its header: whatever stands between the first
    cell and the last is kept as it is.
    """

    def __init__(self) -> None:
        self._messages: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}
        self.rows = 0

    def kept(self, rows: Iterator[list[str]]) -> Iterator[list[str]]:
        """
        Yield the header and the rows without ``RowNumber`` and ``ErrorMessage``.

        :param rows: the header first.
        :raises UnexpectedResponse: the last column is not ``ErrorMessage``.
        """
        header = next(rows, None)
        if header is None:
            return
        if header[-1].strip().casefold() != _MESSAGE:
            raise UnexpectedResponse(
                "sent rejected rows whose last column is not ErrorMessage: they cannot be made ready to be "
                "uploaded again; download them as they are, without reupload_ready",
                vendor="ruler",
            )
        first = int(header[0].strip().casefold() == _NUMBER)
        yield header[first:-1]
        for row in rows:
            self.rows += 1
            self._note(row[-1], row[0] if first else "")
            yield row[first:-1]

    def _note(self, message: str, number: str) -> None:
        message = clean(message)
        if message not in self._counts and len(self._counts) >= MAX_MESSAGES:
            message = "(other messages)"
        self._counts[message] = self._counts.get(message, 0) + 1
        numbers = self._messages.setdefault(message, [])
        if number and len(numbers) < MAX_NUMBERS:
            numbers.append(clean(number, 40))

    def summary(self) -> dict[str, Any]:
        """Return how many rows have which message, the most frequent first, and some of their numbers."""
        ordered = sorted(self._counts, key=lambda message: (-self._counts[message], message))
        return {
            "rows": self.rows,
            "errors": [
                {"message": text, "rows": self._counts[text], "row_numbers": self._messages[text]}
                for text in ordered
            ],
        }
