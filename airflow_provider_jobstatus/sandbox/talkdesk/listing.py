"""The list of jobs of the Talkdesk stand-in, in pages.

The pages of the Explore API leave it out. That of the older Reporting API shows it:
https://docs.talkdesk.com/docs/inspecting-previous-report-jobs . Its oldest text calls the jobs
``executions``. Which jobs come first, and how many a page holds by default, is a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from airflow_provider_jobstatus.sandbox.dialects import DIALECTS
from airflow_provider_jobstatus.sandbox.lists import ListDialect, MakePage, NumberedPage
from airflow_provider_jobstatus.sandbox.talkdesk.jobs import TalkdeskForms, TalkdeskJob

LIST_KEYS = ("jobs", "executions")
USUAL_SIZE, LARGEST_SIZE = 20, 200
_PATH = re.compile(r"/data/reports/[^/]+/jobs")


@dataclass(frozen=True, kw_only=True)
class ReportPage(NumberedPage):
    """One page of the list.

    :param address: Where the list is, for the links.
    :param key: What the jobs are called, one of ``LIST_KEYS``.
    """

    address: str
    key: str

    def reply(self, entries: object) -> object:
        """Return the whole reply with other entries."""
        links = {"self": self._link(self.number)}
        if self.number * self.size < self.total:
            links["next"] = self._link(self.number + 1)
        return {
            "total": self.total,
            "page": self.number,
            "per_page": self.size,
            "count": len(entries) if isinstance(entries, list | dict) else 0,
            "_embedded": {self.key: entries},
            "_links": links,
        }

    def _link(self, number: int) -> dict[str, str]:
        return {"href": f"{self.address}?page={number}&per_page={self.size}"}


def list_page(
    request: web.Request,
    jobs: Sequence[TalkdeskJob],
    now: float,
    forms: TalkdeskForms,
    shown: Mapping[str, object] | None,
    *,
    address: str,
    key: str,
) -> ReportPage:
    """Return the requested page. It is no status request of any job on it.

    :param jobs: The jobs of all pages.
    :param shown: What each job shows in place of its own keys; with None, what it shows in a list.
    :raises web.HTTPBadRequest: There is no such page.
    """
    number, size = _number(request, "page", 1), _number(request, "per_page", USUAL_SIZE)
    if number < 1 or not 1 <= size <= LARGEST_SIZE:
        raise web.HTTPBadRequest(text=f"page begins at 1, per_page goes from 1 to {LARGEST_SIZE}.")
    entries = []
    for job in jobs[(number - 1) * size : number * size]:
        if shown is None and not job.listed:
            job.timeline.show_in_list(now)
        # A job that is left out leaves a gap on its page, so that no other job moves to another page.
        differs = job.listed.take() if shown is None else shown
        if differs is not None:
            entries.append({**job.status(now, job.forms(forms)), **differs})
    return ReportPage(entries=entries, number=number, size=size, total=len(jobs), address=address, key=key)


def list_dialect(path: str, page: MakePage) -> ListDialect | None:
    """Return how Talkdesk puts things at a path, if it is that of a list."""
    if not _PATH.fullmatch(path):
        return None
    job: dict[str, Any] = {
        "id": "",
        "name": "calls report",
        "timezone": "UTC",
        "status": "processing",
        "format": "csv",
        "timespan": {"from": "2024-01-15T00:00:00Z", "to": "2024-01-16T00:00:00Z"},
    }
    return ListDialect(words=DIALECTS["talkdesk"].words, id_key="id", page=page, job=job, numbered=True)


def _number(request: web.Request, key: str, default: int) -> int:
    text = request.query.get(key, str(default))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
