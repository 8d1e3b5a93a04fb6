"""What the submissions to all vendors have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping


class OrderRefused(Exception):
    """A submission that makes no job.

    :param problems: Messages by field; empty if the body as a whole is no good.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(problems.values()))
        self.problems = problems


def as_json(body: bytes) -> object:
    """Return a body as JSON, or None if it is no JSON."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def as_object(value: object) -> Mapping[str, object]:
    """Return a JSON object, or an empty one in place of anything else."""
    return value if isinstance(value, Mapping) else {}
