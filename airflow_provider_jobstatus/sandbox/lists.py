"""Lists of jobs: what one reply of a vendor holds, and what a test can let it show of a job."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from aiohttp import web

from airflow_provider_jobstatus.sandbox.admin_fields import Fields
from airflow_provider_jobstatus.sandbox.dialects import MISSING, Dialect


@dataclass(frozen=True, kw_only=True)
class Page:
    """One reply of a vendor that lists its jobs as a plain array.

    :param entries: The jobs on it, as the vendor shows them.
    """

    entries: list[dict[str, object]]

    def reply(self, entries: object) -> object:
        """Return the whole reply with other entries."""
        return entries


@dataclass(frozen=True, kw_only=True)
class NumberedPage(Page):
    """One reply of a vendor whose list has pages.

    :param number: Which page it is, from 1.
    :param size: How many jobs a page holds.
    :param total: How many jobs all pages hold.
    """

    number: int
    size: int
    total: int


#: Makes the requested page. Its second argument stands in place of what each job shows; with None, each job
#: shows what it shows in a list.
MakePage = Callable[[web.Request, Mapping[str, object] | None], Page]


@dataclass(frozen=True, kw_only=True)
class ListDialect(Dialect):
    """The words and replies of a vendor's list: every job of the list says the same.

    :param page: Makes the requested page.
    :param job: A job as the list shows it, for made-up ones.
    :param numbered: Whether the list has pages.
    """

    page: MakePage
    job: Mapping[str, object]
    id_key: str
    numbered: bool = False

    def reply(self, request: web.Request, status: object, job_id: object = None) -> Any:
        """Return the requested list.

        :param status: What each of its jobs says; with ``MISSING`` nothing.
        :param job_id: How each of them is named, instead of by its own id.
        """
        page = self.page(request, {} if status is MISSING else {"status": status})
        named = {} if job_id is None else {self.id_key: job_id}
        entries = [entry | named for entry in page.entries]
        if status is MISSING:
            entries = [{key: entry[key] for key in entry if key != "status"} for entry in entries]
        return page.reply(entries)


@runtime_checkable
class Lister(Protocol):
    """A vendor that lists its jobs."""

    def list_dialect(self, path: str) -> ListDialect | None:
        """Return how it puts things at this path, if it lists jobs there."""


class ListScript:
    """What one list after the other shows of a job, where a test has said so; the last of it stays for ever.

    :param shown: Keys of the entry that take these values, or none where the list leaves the job out.
    """

    def __init__(self, shown: Sequence[Mapping[str, object] | None] = ()) -> None:
        self._shown = tuple(shown)
        self._next = 0

    def take(self) -> Mapping[str, object] | None:
        """Return what the next list shows."""
        if not self._shown:
            return {}
        self._next = min(self._next + 1, len(self._shown))
        return self._shown[self._next - 1]

    def __bool__(self) -> bool:
        return bool(self._shown)


def read_listed(given: Fields, keys: Collection[str]) -> ListScript:
    """Read the key ``listed`` of an admin request.

    :param keys: What the vendor documents of a job in a list.
    """
    values = given.take("listed", [])
    if not isinstance(values, list):
        raise ValueError("listed must be a list.")
    return ListScript([_read_shown(value, keys) for value in values])


def _read_shown(value: object, keys: Collection[str]) -> Mapping[str, object] | None:
    if value is None:
        return None
    shown = {"status": value} if isinstance(value, str) else value
    if not isinstance(shown, Mapping) or not shown.keys() <= set(keys):
        raise ValueError(f"listed: an entry is a word, null, or an object of {', '.join(keys)}.")
    return dict(shown)
