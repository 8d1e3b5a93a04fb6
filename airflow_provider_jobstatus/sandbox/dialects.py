"""How each vendor's API says that a job runs or has ended: its words, and its smallest whole reply."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

#: What a script may call a status at any vendor that has a word for it.
NEUTRAL_WORDS = ("running", "done", "failed", "partial", "cancelled")
#: In place of a status: the reply has none.
MISSING = object()


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """The words and replies of one vendor.

    :param words: Its word by the neutral one.
    :param id_key: Under which key a reply names its job, if it does.
    :param names_job: Whether replies usually have that key.
    :param wrap: Makes the reply of the part that describes the job.
    """

    words: Mapping[str, str]
    id_key: str | None = None
    names_job: bool = True
    wrap: Callable[[dict[str, Any]], dict[str, Any]] = lambda job: job

    def word(self, word: str) -> str:
        """Return the vendor's word for a neutral one; any other word stays as it is.

        :raises ValueError: The vendor has no word for it.
        """
        if word in NEUTRAL_WORDS and word not in self.words:
            raise ValueError(f"script: this vendor has no word for {word!r}.")
        return self.words.get(word, word)

    def reply(self, request: web.Request, status: object, job_id: object = None) -> Any:
        """Return the smallest reply to a status request.

        :param status: What it says; with ``MISSING`` nothing.
        :param job_id: Whose status it is; by default that of the requested job.
        """
        job: dict[str, Any] = {}
        if self.id_key is not None and (self.names_job or job_id is not None):
            last = request.raw_path.partition("?")[0].rpartition("/")[2]
            asked: object = int(last) if last.isdigit() else last
            job[self.id_key] = asked if job_id is None else job_id
        if status is not MISSING:
            job["status"] = status
        return self.wrap(job)


DIALECTS = {
    "aftercare": Dialect(
        words={
            "running": "processing",
            "done": "completed",
            "failed": "total_failure",
            "partial": "partial_failure",
        },
        id_key="batchJobId",
    ),
    # No page has a word for a failure; this one means one only to a connection that says so.
    "questionpro": Dialect(
        words={"running": "Sending", "done": "Delivery Successful", "failed": "Delivery Failed"},
        id_key="id",
        wrap=lambda job: {"response": job},
    ),
    "ruler": Dialect(
        words={
            "running": "processing",
            "done": "complete",
            "failed": "failed",
            "partial": "partialcomplete",
        },
        # Of a list's entries. No page has it in a status, but for a few jobs it may be there.
        id_key="jobId",
        names_job=False,
    ),
    "talkdesk": Dialect(
        words={"running": "processing", "done": "done", "failed": "failed", "cancelled": "canceled"},
        id_key="id",
        wrap=lambda job: {"job": job},
    ),
}
