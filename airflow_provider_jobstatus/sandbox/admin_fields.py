"""Reads the bodies of admin requests, so that a typing mistake in a test is an error and not ignored."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any


class Fields:
    """A JSON object that is taken apart key by key.

    Every complaint is a ``ValueError`` that names the key; the admin API turns it into a 400.

    :param values: The object.
    :param what: What the object is, for the messages.
    """

    def __init__(self, values: object, what: str) -> None:
        if not isinstance(values, Mapping):
            raise ValueError(f"{what} must be an object.")
        self._left = dict(values)
        self._what = what
        #: Every key that was read, so that the error for a mistyped one can name them.
        self._known: dict[str, None] = {}

    def __contains__(self, key: str) -> bool:
        self._known[key] = None
        return key in self._left

    def take(self, key: str, default: object = None) -> Any:
        """Return whatever stands under a key."""
        self._known[key] = None
        return self._left.pop(key, default)

    def number(self, key: str, default: float) -> float:
        """Return a finite number that is not negative."""
        value = self.take(key, default)
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if not good or not math.isfinite(value) or value < 0:
            raise ValueError(f"{self._what}: {key} must be a number and not negative.")
        return float(value)

    def whole(self, key: str, default: int | None) -> int | None:
        """Return a whole number that is not negative, or the default where there is none."""
        value = self.take(key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError(f"{self._what}: {key} must be a whole number and not negative.")
        return value

    def text(self, key: str, default: str | None = None) -> str | None:
        """Return a string, or the default where there is none."""
        value = self.take(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise ValueError(f"{self._what}: {key} must be a string.")
        return value

    def choice(self, key: str, options: Sequence[str], default: str) -> str:
        """Return one of some strings, or the default where there is none."""
        value = self.text(key) or default
        if value not in options:
            raise ValueError(f"{self._what}: {key} must be one of {', '.join(options)}.")
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        """Return a truth value, or the default where there is none."""
        value = self.take(key, default)
        if not isinstance(value, bool):
            raise ValueError(f"{self._what}: {key} must be true or false.")
        return value

    def changed(self, usual: Any, **choices: Collection[object]) -> dict[str, Any]:
        """Return those fields of a dataclass that are given, each read by the type of its usual value.

        A null brings back the field's default.

        :param usual: An instance of the dataclass.
        :param choices: The only values that some fields may have.
        """
        found: dict[str, Any] = {}
        for field in fields(usual):
            if field.name not in self:
                continue
            value = getattr(usual, field.name)
            default = value if field.default is MISSING else field.default
            match value:
                case bool():
                    found[field.name] = self.flag(field.name, value)
                case str():
                    found[field.name] = self.text(field.name, default)
                case float():
                    found[field.name] = self.number(field.name, value)
                case _:
                    found[field.name] = self.whole(field.name, default)
            options = choices.get(field.name)
            if options is not None and found[field.name] not in options:
                listed = ", ".join(map(str, options))
                raise ValueError(f"{self._what}: {field.name} must be one of {listed}.")
        return found

    def finish(self) -> None:
        """Refuse the keys that were not read, and name those that were."""
        if self._left:
            stray, known = (", ".join(sorted(map(str, keys))) for keys in (self._left, self._known))
            raise ValueError(f"{self._what}: unknown key {stray}; there are {known}.")
