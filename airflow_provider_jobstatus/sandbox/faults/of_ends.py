"""What looks like the end of a job: a report, its file's redirect, or a response without a request."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote

from aiohttp import web

from airflow_provider_jobstatus.sandbox.faults import HTML, URLS, Fault
from airflow_provider_jobstatus.sandbox.faults.builders import (
    JSON_TYPE,
    body_fault,
    doubled_reply,
    http_fault,
    redirect_fault,
)

_REPORT = b"id,name,duration\r\n1,Ann,35\r\n2,Bob,17\r\n"
_ROWS = [{"id": "1", "name": "Ann"}, {"id": "2", "name": "Bob"}]
_ERROR = b'{"code": "internal_error", "message": "The report could not be made", "fields": []}'


def _file_of(request: web.Request, job: str | None = None) -> str:
    """Return the path of a job's file as Talkdesk has it; elsewhere it is some path of the vendor's."""
    path, _, last = request.raw_path.partition("?")[0].replace("/jobs/", "/files/").rpartition("/")
    return f"{path}/{job or last}"


#: Redirects that look like the end of a job: where to, their status, and the word of their body.
LURES: dict[str, tuple[str, Callable[[web.Request], str | None], int, str | None]] = {
    "login": (
        "302 to a login page of the same origin",
        lambda r: f"/login?returnTo={quote(r.raw_path, safe='')}",
        302,
        None,
    ),
    "sso": (
        "303 to a signed login of another origin",
        lambda r: r.config_dict[URLS]["storage"] + "/sso?SAMLRequest=a&SigAlg=b&Signature=c",
        303,
        None,
    ),
    "other-job": ("303 to another job's file", lambda r: _file_of(r, "another"), 303, None),
    "running": (
        "303 to the job's file, with a body that says that it runs",
        _file_of,
        303,
        "running",
    ),
    "storage": (
        "302 to a signed address of a storage that has no such file",
        lambda r: r.config_dict[URLS]["storage"] + "/none?X-Amz-Signature=none",
        302,
        None,
    ),
}

END_FAULTS: dict[str, Fault] = {
    "captive-portal": Fault(
        "200 with the HTML of a login page, labelled as JSON", http_fault(200, HTML, JSON_TYPE)
    ),
    # Files, in place of a status; and what is no file, in place of one.
    "report-csv": Fault("200 with a report as CSV", http_fault(200, _REPORT, "text/csv")),
    "report-json": Fault(
        "200 with a report as JSON", http_fault(200, json.dumps({"entries": _ROWS}).encode(), JSON_TYPE)
    ),
    "report-array": Fault(
        "200 with a report as an array of JSON", http_fault(200, json.dumps(_ROWS).encode(), JSON_TYPE)
    ),
    "report-lines": Fault(
        "200 with a report as lines of JSON",
        http_fault(200, "\n".join(map(json.dumps, _ROWS)).encode(), "application/x-ndjson"),
    ),
    "report-error": Fault(
        "200 with a report without rows, and an error beside it",
        http_fault(200, b'{"entries": [], "error": "The report could not be made"}', JSON_TYPE),
    ),
    "error-200": Fault("200 with an error in JSON", http_fault(200, _ERROR, JSON_TYPE)),
    "error-text": Fault(
        "200 with an error as text", http_fault(200, b"Internal error, try again later", "text/plain")
    ),
    "error-csv": Fault(
        "200 with an error as text, labelled as CSV",
        http_fault(200, b"The report could not be made\r\n", "text/csv"),
    ),
    "json-csv": Fault(
        "a good reply, labelled as CSV", body_fault(lambda text: text, Content_Type="text/csv")
    ),
    "doubled-reply": Fault(
        "a reply that the job runs, and behind it, unasked, one that it is done", doubled_reply
    ),
    **{
        f"redirect-{name}": Fault(description, redirect_fault(make, status, word))
        for name, (description, make, status, word) in LURES.items()
    },
}
