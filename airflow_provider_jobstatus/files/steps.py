"""Short steps that end before a task is interrupted, so that what they made can be removed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_under_way = 0
_put_off: BaseException | None = None


@contextmanager
def ended_first() -> Iterator[None]:
    """
    Put off what :func:`stop` raises until the ``with`` has ended.

    A client that is interrupted while it creates something may create it all the same, under a name or id
    that has not arrived yet. Only for what takes moments: Airflow kills the process some seconds later.
    """
    global _under_way, _put_off
    _under_way += 1
    try:
        yield
    finally:
        _under_way -= 1
        if not _under_way and _put_off is not None:
            error, _put_off = _put_off, None
            raise error


def stop(error: BaseException) -> None:
    """Raise ``error``: now, or when the step that is under way has ended."""
    global _put_off
    if not _under_way:
        raise error
    _put_off = error
