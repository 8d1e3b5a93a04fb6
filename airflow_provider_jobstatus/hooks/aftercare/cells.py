"""Cells of rows, checked; see :mod:`airflow_provider_jobstatus.hooks.aftercare`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_jobstatus.core.errors import UnexpectedResponse
from airflow_provider_jobstatus.core.text import clean

ID, TEXT, INTEGER, NUMBER, FLAG = "an identifier", "a text", "a whole number", "a number", "true or false"
#: Smallest and largest number of 64 bits, which a Parquet file has.
_LEAST, _MOST = -(2**63), 2**63 - 1


def wrong(what: str) -> UnexpectedResponse:
    """Return the error for results that are not as Aftercare documents them."""
    return UnexpectedResponse(f"sent results in another form than it documents: {what}", vendor="aftercare")


class Checked:
    """
    Members that an object of the results needs, each with its kind.

    :param optional: names of those that may be absent.
    :param kinds: name to kind.
    """

    def __init__(self, optional: tuple[str, ...] = (), /, **kinds: str) -> None:
        self.kinds = kinds
        self._needed = kinds.keys() - set(optional)

    def value(self, name: str, value: Any) -> Any:
        """
        Return a member's value, checked. Null is none of an identifier or whole number that is needed.

        :raises UnexpectedResponse: it is of another kind.
        """
        kind = self.kinds[name]
        if type(value) is str:
            if kind in (ID, TEXT):
                return value
        elif type(value) is int:
            if kind == ID:
                return str(value)
            if kind in (INTEGER, NUMBER) and _LEAST <= value <= _MOST:
                return value
        elif (type(value) is float and kind == NUMBER) or (type(value) is bool and kind == FLAG):
            return value
        elif value is None and (kind in (TEXT, NUMBER, FLAG) or name not in self._needed):
            return None
        raise wrong(f"{name!r} is not {kind}, but of type {type(value).__name__}")

    def need(self, told: Mapping[str, Any]) -> None:
        """
        Check that all members have come that are needed.

        :raises UnexpectedResponse: one is missing.
        """
        if not self._needed <= told.keys():
            raise wrong(f"without {min(self._needed - told.keys())!r}")


def members(value: Any, what: str) -> tuple[tuple[str, Any], ...]:
    """
    Return the members of an object, as a :class:`JsonReader` has read it.

    :param what: it is, for the error.
    :raises UnexpectedResponse: it is no object.
    :raises ValueError: two have one name.
    """
    if not isinstance(value, tuple):
        raise wrong(f"{what} is no object")
    if len(dict(value)) != len(value):
        raise ValueError("a key stands twice in one object")
    return value


def items(value: Any, name: str) -> list[Any]:
    """
    Return the items of an array; null has none.

    :param name: of the member.
    :raises UnexpectedResponse: it is no array.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong(f"{name!r} is no array")
    return value


class LeftOut:
    """The members of results that no column holds."""

    def __init__(self) -> None:
        self.names: dict[str, None] = {}

    def add(self, name: str) -> None:
        """Note a member, of a few names."""
        if len(self.names) < 20:
            self.names.setdefault(clean(name, 40))
