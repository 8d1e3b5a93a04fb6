"""The results of a job, page by page; see :mod:`airflow_provider_jobstatus.hooks.aftercare`."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_jobstatus.core.content import expect_file
from airflow_provider_jobstatus.core.contradictions import MEMBERS
from airflow_provider_jobstatus.core.errors import RequestRejected, ServerError, SettingsError
from airflow_provider_jobstatus.core.http import Flow, Response
from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.core.json_reader import JsonReader
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.core.responses import error_of, unexpected
from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.hooks.aftercare.coding_rows import CodingRows
from airflow_provider_jobstatus.hooks.aftercare.job import AftercareJobId
from airflow_provider_jobstatus.hooks.aftercare.quality_rows import QualityRows
from airflow_provider_jobstatus.hooks.base import BatchJobHook

#: Query parameter that takes a cursor, where neither operator nor connection names another. It is inferred.
CURSOR_PARAMETER = "cursor"
#: Most pages of one job.
MAX_PAGES = 100_000
#: Bytes of rows by which a page is known again.
HEAD_BYTES = 64 * 1024

_PARAMETER = re.compile(r"[A-Za-z0-9_$.\[\]-]{1,64}")
#: What is the same on all pages of a run of the job.
_SAME = ("surveyIdentifier", "completedAt")
_KEPT = MEMBERS | {"nextCursor", *_SAME}


class ResultPages:
    """
    The pages of a job's results: which one comes next, and whether it is another one than those before.

    The name of the parameter that takes a cursor is not documented. A server that does not know it answers
    the first page again.

    :param hook: of the connection.
    :param job: whose results they are.
    :param parameter: the name; None for that of the connection.
    :raises SettingsError: it can be none.
    """

    def __init__(self, hook: BatchJobHook, job: AftercareJobId, parameter: str | None = None) -> None:
        self._hook, self._job = hook, job
        self._parameter = parameter or hook.settings.text("cursor_parameter") or CURSOR_PARAMETER
        if not _PARAMETER.fullmatch(self._parameter):
            raise SettingsError(
                f"cursor_parameter is {clean(self._parameter, 80)!r}; give the name of a query parameter"
            )
        self._request = hook.request("GET", job.path)
        self._cursor: str | None = None
        self._told: dict[str, object] = {}
        self._cursors: set[bytes] = set()
        self._heads: dict[bytes, int] = {}
        self._head = bytearray()
        self.number = 1

    def operation(self) -> Operation[Response]:
        """Return the operation that opens the page that is next: for ``hook.open``."""
        return Operation(self._flow, streamed=True)

    def _flow(self) -> Flow[Response]:
        """
        Open a page: ``GET /coding/{batchJobId}``, ``GET /data-quality/batch/{batchJobId}``.

        :raises ServerError: a 2xx that is no page, such as "not yet".
        """
        query = {} if self._cursor is None else {self._parameter: self._cursor}
        request = self._hook.request("GET", self._job.path, query, headers={"Accept": "application/json"})
        try:
            return expect_file(request, (yield request))
        except RequestRejected as error:
            if self._cursor is not None:
                error.add(f"the cursor was sent as {self._parameter!r}; {self._advice}")
            raise

    def watch(self, rows: bytes) -> None:
        """
        Look at the next rows of this page.

        :raises UnexpectedResponse: they are those of an earlier page.
        """
        if len(self._head) < HEAD_BYTES:
            self._head += rows[: HEAD_BYTES - len(self._head)]
            if len(self._head) == HEAD_BYTES:
                self._compare()

    def _compare(self) -> None:
        digest = hashlib.sha256(self._head).digest()
        if self._head and (earlier := self._heads.setdefault(digest, self.number)) != self.number:
            raise unexpected(
                self._request,
                f"answered as page {self.number} of the results page {earlier} again: it does not know the "
                f"query parameter {self._parameter!r}; {self._advice}",
            )

    def end(self, page: ResultPage) -> bool:
        """
        End a page whose rows have all been watched; return whether another one follows.

        :raises UnexpectedResponse: it is no page of this job's results, or the pages do not go on.
        :raises ServerError: the job runs again, or still, as this page has it.
        """
        hook, request = self._hook, self._request
        self._compare()
        if "batchJobId" not in page.members:
            raise unexpected(request, "answered without the 'batchJobId' of the job")
        hook.check_job(request, self._job.job, page.members)
        word, state = hook.read_state(request, page.members.get("status"))
        if state is not JobState.SUCCEEDED:
            kind = f"a page of the results with the status {clean(word, 80)!r}"
            if state is JobState.RUNNING:
                raise error_of(ServerError, request, f"answered {kind}")
            raise unexpected(request, f"answered {kind}, which has none")
        hook.check_success(request, word, page.members)
        for name in _SAME:
            told = page.members.get(name, page.results.get(name))
            if told is not None and self._told.setdefault(name, told) != told:
                raise unexpected(request, f"answered page {self.number} of the results with another {name}")
        if not page.is_there:
            raise unexpected(request, f"answered {word!r} without a list of results")
        cursor = page.results.get("nextCursor")
        if cursor is None:
            return False
        if not isinstance(cursor, (str, int)) or isinstance(cursor, bool) or cursor == "":
            raise unexpected(request, "answered a 'nextCursor' that is neither null nor a text")
        self._follow(str(cursor))
        return True

    def _follow(self, cursor: str) -> None:
        digest = hashlib.sha256(cursor.encode("utf-8", "surrogatepass")).digest()
        if digest in self._cursors:
            raise unexpected(
                self._request,
                f"answered on page {self.number} of the results a 'nextCursor' that came before: the cursor, "
                f"sent as {self._parameter!r}, does not move; {self._advice}",
            )
        if self.number == MAX_PAGES:
            raise unexpected(self._request, f"has more than {MAX_PAGES} pages of results")
        self._cursors.add(digest)
        self._cursor, self._head = cursor, bytearray()
        self.number += 1

    @property
    def _advice(self) -> str:
        return (
            "no page documents its name: give the right one as cursor_parameter of the operator, or as extra "
            f"'cursor_parameter' of connection {self._hook.conn_id!r}"
        )


@dataclass
class ResultPage:
    """
    What a page says besides its rows.

    :ivar members: of the reply, without those that do not matter here.
    :ivar results: those of the results.
    :ivar is_there: whether there is a list of results, be it empty.
    """

    members: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    is_there: bool = False


def rows_of(job: AftercareJobId) -> type[CodingRows] | type[QualityRows]:
    """Return what makes rows of the results of a job."""
    return CodingRows if job.job == job.text else QualityRows


def read_page(reader: JsonReader, rows: CodingRows | QualityRows) -> ResultPage:
    """
    Read a page to its end, and make rows of it.

    :raises ValueError: it is no whole JSON; the text quotes nothing of it.
    :raises UnexpectedResponse: the results are in another form than Aftercare documents.
    """
    page = ResultPage()
    reader.enter("{")
    while (name := reader.member()) is not None:
        if name != "results" or reader.mark() != "{":
            _keep(reader, name, page.members)
            continue
        reader.enter("{")
        while (inner := reader.member()) is not None:
            if inner == rows.member and reader.mark() == "[":
                page.is_there = True
                reader.enter("[")
                rows.read(reader)
            else:
                _keep(reader, inner, page.results)
        page.members[name] = page.results
    reader.finish()
    return page


def _keep(reader: JsonReader, name: str, members: dict[str, Any]) -> None:
    if name in _KEPT:
        members[name] = reader.plain(reader.value())
    else:
        reader.skip()
