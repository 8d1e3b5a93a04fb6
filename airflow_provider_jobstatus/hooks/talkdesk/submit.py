"""How a report is asked for; see :mod:`airflow_provider_jobstatus.hooks.talkdesk`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.http import Flow, Request
from airflow_provider_jobstatus.core.ids import path_segment
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.core.responses import expect_json, unexpected
from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.talkdesk.listing import page_flow
from airflow_provider_jobstatus.hooks.talkdesk.windows import Window

ReportFormat = Literal["csv", "json", "json_bulk"]
#: Pages of a list that are searched for a job: none may be left out.
MAX_SEARCHED_PAGES = 50
#: Longest name of a report, in characters, with what is added to it.
MAX_NAME = 200
#: Longest name that a user gives.
MAX_OWN_NAME = MAX_NAME - 50


def type_segment(report_type: object) -> str:
    """
    Return a report type, quoted for a path.

    :raises SettingsError: it is none.
    """
    if not isinstance(report_type, str):
        raise SettingsError(f"report_type is {clean(repr(report_type), 80)}; give a text such as 'calls'")
    return path_segment(report_type.strip(), "report type", "report_type")


def check_name(name: object) -> str:
    """
    Return the name of a report, as a user gives it.

    :raises SettingsError: it is no text, empty, too long, or has what cannot be shown as it is.
    """
    text = name.strip() if isinstance(name, str) else ""
    if not text or len(text) > MAX_OWN_NAME or clean(text, MAX_NAME) != text:
        raise SettingsError(
            f"name is {clean(repr(name), 80)}; give a text of at most {MAX_OWN_NAME} printable characters"
        )
    return text


def order_body(name: str, timezone: str, file_format: str, window: Window) -> bytes:
    """Return the body of a request for a report."""
    order = {"name": name, "timezone": timezone, "format": file_format, "timespan": window.timespan()}
    return json.dumps(order).encode()


def submit_flow(hook: BatchJobHook, report_type: str, body: bytes) -> Flow[str]:
    """
    Ask for a report: ``POST /data/reports/{type}/jobs``. Needs the scope ``data-reports:write``.

    Smallest replies relied on, with 202, 201 or 200: ``{"id": "0f9c"}`` and ``{"job": {"id": "0f9c"}}``.

    503 means that the request could not be audited; the page does not say that nothing was created.

    :param body: from :func:`order_body`.
    :return: the job id.
    :raises SettingsError: the report type is none; nothing was sent.
    :raises UnexpectedResponse: a 2xx that names no job.
    """
    request = hook.request(
        "POST", _jobs_path(report_type), headers={"Content-Type": "application/json"}, body=body
    )
    reply = expect_json(request, (yield request), *range(200, 300))
    job = reply.get("job")
    for told in (reply, job):
        if isinstance(told, Mapping) and any(told.get(key) for key in ("code", "message", "error")):
            raise unexpected(request, "answered an error, with or without the id of a job")
        if isinstance(told, Mapping) and told.get("name") not in (None, json.loads(body).get("name")):
            raise unexpected(request, "answered a job of another name")
    ids = {_id_of(request, told) for told in (reply, job) if isinstance(told, Mapping)} - {None}
    if len(ids) != 1:
        raise unexpected(request, "answered without the id of a job" if not ids else "answered with two ids")
    job_id = f"{report_type.strip()}/{ids.pop()}"
    try:
        return str(hook.parse_job_id(job_id))
    except SettingsError as error:
        raise unexpected(request, f"answered an id that is none: {error}") from None


def search_flow(hook: BatchJobHook, report_type: str, name: str = "", tag: str = "") -> Flow[list[str]]:
    """
    Look for the jobs of a name, or of a tag: ``GET /data/reports/{type}/jobs?page=1&per_page=200`` and on.

    Smallest reply relied on, of each page:
    ``{"_embedded": {"jobs": [{"id": "j1", "name": "calls of Monday"}]}}``

    :param name: exactly that of the job.
    :param tag: without a name, a word of it.
    :return: the ids of all such jobs, by the last words of their names: as a rule of one, or of none.
    :raises UnexpectedResponse: a page without jobs in that form, or more than :data:`MAX_SEARCHED_PAGES`:
        what such a list leaves out may be the job.
    """
    found: dict[str, str] = {}
    seen: set[str] = set()
    for page in range(1, MAX_SEARCHED_PAGES + 1):
        request, jobs = yield from page_flow(hook, type_segment(report_type), page)
        for job in jobs:
            if not isinstance(job, Mapping) or not isinstance(job.get("name"), str):
                raise unexpected(request, "answered a list with a job that has no name")
            if (own := _id_of(request, job)) is None:
                raise unexpected(request, "answered a list with a job that has no id")
            if job["name"] == name if name else tag in job["name"].split():
                found[f"{report_type.strip()}/{own}"] = job["name"].split()[-1]
        # A server may have smaller pages than those that are asked for.
        if (ids := {str(job["id"]) for job in jobs}) <= seen:
            return sorted(found, key=found.__getitem__)
        seen |= ids
    raise unexpected(request, f"answered a list of more than {MAX_SEARCHED_PAGES} pages")


def submission(hook: BatchJobHook, report_type: str, body: bytes) -> Operation[str]:
    """Return the operation that asks for a report."""
    return hook.submission(partial(submit_flow, hook, report_type, body))


def search(hook: BatchJobHook, report_type: str, name: str = "", tag: str = "") -> Operation[list[str]]:
    """Return the operation that looks for jobs, with the arguments of :func:`search_flow`."""
    return Operation(partial(search_flow, hook, report_type, name, tag))


def _jobs_path(report_type: str) -> str:
    return f"/data/reports/{type_segment(report_type)}/jobs"


def _id_of(request: Request, told: Mapping[str, Any]) -> str | None:
    """Return the id in a reply's object, or None if it has none."""
    answered = told.get("id")
    if answered is None:
        return None
    if isinstance(answered, bool) or not isinstance(answered, (str, int)):
        raise unexpected(request, "answered an id that is none")
    return str(answered)
