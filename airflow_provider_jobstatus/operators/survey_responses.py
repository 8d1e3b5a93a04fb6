"""Writes the responses to a survey of QuestionPro's to a file."""

from __future__ import annotations

import csv
import hashlib
import io
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_jobstatus.core.errors import NotFound, RateLimited, VendorError
from airflow_provider_jobstatus.exceptions import BadSettings, DownloadIncomplete, UnknownJob
from airflow_provider_jobstatus.files.destination import IfExists

if TYPE_CHECKING:
    from airflow_provider_jobstatus.core.http import Request, Response
    from airflow_provider_jobstatus.hooks.questionpro import QuestionProHook
    from airflow_provider_jobstatus.hooks.questionpro.responses import PageSequence, ResponsesPage
    from airflow_provider_jobstatus.tasks.call_budget import CallBudget

log = logging.getLogger(__name__)

ResponsesFormat = Literal["ndjson", "csv"]
#: A larger page is not held.
MAX_PAGE_BYTES = 8 * 1024 * 1024


def export_responses(
    hook: QuestionProHook,
    survey_id: int,
    destination: object,
    *,
    file_format: ResponsesFormat = "ndjson",
    page_size: int = 100,
    max_calls: int = 1000,
    if_exists: IfExists = "replace",
) -> dict[str, Any]:
    """
    Write all responses to a survey to a file, and return its manifest.

    The parameters are those of ``QuestionProExportResponsesOperator``.

    :raises VendorError, DownloadIncomplete, DestinationError, UnknownJob, BadSettings: nothing was written.
    """
    from airflow_provider_jobstatus.files.destination import resolve, unless_there, writing
    from airflow_provider_jobstatus.hooks.questionpro.responses import PageSequence
    from airflow_provider_jobstatus.tasks.call_budget import CallBudget

    path = resolve(destination, f"responses-{survey_id}.{file_format}")
    calls = CallBudget(max_calls, hook.rate)

    def write() -> dict[str, Any]:
        pages = PageSequence()
        digest, size, rows = hashlib.sha256(), 0, 0
        with writing(path, if_exists) as file:
            for number, block in _blocks(_pages(hook, survey_id, page_size, pages, calls), file_format):
                file.write(block)
                digest.update(block)
                size += len(block)
                rows += number
        log.info("Survey %d: %d responses, by %d calls", survey_id, pages.count, calls.used)
        known = {"rows": rows, "sha256": digest.hexdigest(), "format": file_format, "verified_by": "rows"}
        return {"path": path, "bytes": size, **known}

    manifest = unless_there(path, if_exists, write)
    return {"job_id": str(survey_id), "survey_id": survey_id, **manifest, "calls": calls.used}


def _pages(
    hook: QuestionProHook, survey_id: int, page_size: int, pages: PageSequence, calls: CallBudget
) -> Iterator[list[str]]:
    """Yield the new responses of each page."""
    from airflow_provider_jobstatus.files.retry_budget import RetryBudget
    from airflow_provider_jobstatus.hooks.questionpro.responses import page_request

    patience = RetryBudget(f"survey {survey_id} (connection {hook.conn_id!r})")

    def ask() -> ResponsesPage:
        request = page_request(hook, survey_id, pages.number, page_size)
        calls.spend(f"page {pages.number} of {pages.pages} of survey {survey_id}")
        try:
            return _ask(hook, request, survey_id, pages.number, page_size)
        except RateLimited:
            calls.refused()
            raise
        except NotFound as error:
            if not error.own:  # may be any gateway's
                raise DownloadIncomplete(str(error)) from error
            raise UnknownJob(f"{error}; check survey_id, and that it is of the account of the key") from error

    while pages.goes_on:
        page = patience.try_out(ask)
        try:
            new = pages.take(page)
        except ValueError as error:
            raise DownloadIncomplete(f"survey {survey_id}: {error}; nothing was written") from None
        calls.require(
            pages.pages + 1 - pages.number,
            f"survey {survey_id} with {pages.total} responses, on {pages.pages} pages,",
        )
        if page.number == 1:
            log.info(
                "Survey %d has %d responses, on %d pages of up to %d: as many calls of the licence",
                *(survey_id, page.total, pages.pages, page.size),
            )
        yield new


def _ask(hook: QuestionProHook, request: Request, survey_id: int, number: int, size: int) -> ResponsesPage:
    from airflow_provider_jobstatus.hooks.questionpro.responses import page_operation, read_page

    with hook.open(page_operation(hook, request)) as reply:
        try:
            body = _held(reply, number, size)
            return read_page(request, reply, body, survey_id, number, size)
        except VendorError as error:
            error.redact((*hook.auth.secrets, *reply.secrets))
            error.conn_id = hook.conn_id
            raise
        except BadSettings:  # is a ValueError, too
            raise
        except ValueError as error:
            raise DownloadIncomplete(f"page {number} is no list of responses: {error}") from None


def _held(reply: Response, number: int, size: int) -> bytes:
    body = bytearray()
    for chunk in reply.chunks or ():
        body += chunk
        if len(body) > MAX_PAGE_BYTES:
            raise BadSettings(
                f"page {number} of {size} responses is larger than {MAX_PAGE_BYTES} bytes; set a smaller "
                "page_size"
            )
    return bytes(body)


def _blocks(pages: Iterator[list[str]], file_format: str) -> Iterator[tuple[int, bytes]]:
    """Yield what is written for each page, with its number of rows."""
    from airflow_provider_jobstatus.hooks.questionpro.answers import COLUMNS, answer_rows

    if file_format == "csv":
        yield 0, _csv([list(COLUMNS)])
    for page in pages:
        if file_format == "csv":
            rows = [row for response in page for row in answer_rows(response)]
            yield len(rows), _csv(rows)
        else:
            yield len(page), "".join(f"{response}\n" for response in page).encode()


def _csv(rows: list[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    # Half of a pair of surrogates, which JSON can escape and UTF-8 cannot hold, stays an escape.
    return text.getvalue().encode("utf-8", "backslashreplace")
