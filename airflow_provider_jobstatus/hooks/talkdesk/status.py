"""
How Talkdesk's responses show that a report is ready; see :mod:`airflow_provider_jobstatus.hooks.talkdesk`.

The response to a poll of a finished job has three forms: the job, a redirect, or the report itself. Logins,
maintenance pages and gateways redirect as well, and respond with 200. So a success is the vendor's
word about this job, or the job's own file: named by a redirect, or found at the files address.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from airflow_provider_jobstatus.core.auth import same_origin
from airflow_provider_jobstatus.core.contradictions import JOB, REPORT_TYPE, STATE, contradiction, named
from airflow_provider_jobstatus.core.errors import (
    NotFound,
    RequestRejected,
    UnexpectedResponse,
)
from airflow_provider_jobstatus.core.http import Flow, Request, Response
from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.core.redirects import REDIRECTS, location_of, place_of
from airflow_provider_jobstatus.core.responses import expect, expect_json, load_json, unexpected
from airflow_provider_jobstatus.core.text import clean
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.talkdesk.job import TalkdeskJobId, file_path
from airflow_provider_jobstatus.hooks.talkdesk.login import is_login_host, token_url
from airflow_provider_jobstatus.hooks.talkdesk.outlines import OF_AN_ERROR, FileOutline, ReplyOutline
from airflow_provider_jobstatus.hooks.talkdesk.shapes import is_notice, is_report
from airflow_provider_jobstatus.hooks.talkdesk.storages import is_storage

#: The word for a job whose file is there.
DONE = "done"
#: How a body begins that is meant to be JSON: also one in UTF-16, or with a byte order mark.
_JSON_BEGINS = (b"{", b"[", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


class _Target(Enum):
    """Where a redirect leads."""

    JOBS_FILE = auto()
    STORAGE = auto()
    NOWHERE = auto()
    ELSEWHERE = auto()


def status_flow(hook: BatchJobHook, job: TalkdeskJobId) -> Flow[JobStatus]:
    """
    Ask for a job's status: ``GET /data/reports/{type}/jobs/{id}``.

    Where the reply leaves open whether the report is ready, its file is requested, and no more than the
    beginning of it is read: ``GET /data/reports/{type}/files/{id}``.

    Smallest replies relied on: 200 ``{"job": {"status": "processing"}}``, 300 without a body to
    ``/data/reports/{type}/files/{id}``, 204, and 200 ``{"entries": []}``.

    :raises UnexpectedResponse: also a redirect to anything else than the job's file, and a report whose
        file is not there.
    """
    request = hook.request(
        "GET", f"/data/reports/{job.type_segment}/jobs/{job.job_segment}", outline=ReplyOutline
    )
    response = yield request
    if response.status == 204:
        return JobStatus(job.text, hook.conn_type, JobState.RUNNING, "204 No Content")
    if response.status in REDIRECTS:
        target = _target(hook, request, response, job)
        word = _word_of_redirect(hook, request, response, job, target)
        if word is None and target is _Target.JOBS_FILE:
            word = DONE
        if word is None and target is _Target.ELSEWHERE:
            raise _astray(request, response, "which is not the job's file")
    else:
        word = _word_of_reply(hook, request, response, job, confirms=False)
    if word is None:
        yield from _find_file(hook, job)
        word = DONE
    word, state = hook.read_state(request, word)
    return JobStatus(job.text, hook.conn_type, state, word)


def _find_file(hook: BatchJobHook, job: TalkdeskJobId) -> Flow[None]:
    """
    Make sure that a job's file is there, without reading it or calling the storage that has it.

    :raises VendorError: it is not; never :class:`NotFound`, as the job itself is known.
    """
    request = hook.request("GET", file_path(job), headers={"Accept": "*/*"}, outline=FileOutline)
    response = yield request
    if response.status in REDIRECTS:
        target = _target(hook, request, response, job)
        word = _word_of_redirect(hook, request, response, job, target)
        if word is None and target is not _Target.STORAGE:
            raise _astray(request, response, "which is no storage of files")
    else:
        try:
            word = _word_of_reply(hook, request, response, job, confirms=True)
        except (NotFound, RequestRejected) as error:
            reason = f"{error.args[0]}; without its file the job is not taken for done"
            missing = unexpected(request, reason, error.status)
            missing.retry_after = error.retry_after
            raise missing from None
    if word is not None and hook.known_state(word) is not JobState.SUCCEEDED:
        raise unexpected(request, f"answered {word!r} in place of the job's file", response.status)


def _word_of_reply(
    hook: BatchJobHook, request: Request, response: Response, job: TalkdeskJobId, *, confirms: bool
) -> str | None:
    """Return the word of a reply that is no redirect, or None if it may be the report itself."""
    expect(request, response)
    if response.status == 200 and is_report(
        response, job.job, lambda word: hook.known_state(word) is not None, confirms=confirms
    ):
        return None
    reply = expect_json(request, response)
    if "job" in reply or "status" in reply:
        return _word_of_job(hook, request, reply, job)
    rows = isinstance(reply.get("entries"), list) and not any(map(reply.get, OF_AN_ERROR))
    rows = rows and contradiction(reply, hook.known_state) is None
    if response.status != 200 or not rows:
        raise unexpected(request, "answered neither a job nor a report", response.status)
    return None


def _word_of_redirect(
    hook: BatchJobHook, request: Request, response: Response, job: TalkdeskJobId, target: _Target
) -> str | None:
    """
    Return the word that the body of a redirect has for the job, or None if it has none.

    :raises UnexpectedResponse: the body contradicts the redirect, or cannot be read.
    """
    body, own = response.body.lstrip(), target is _Target.JOBS_FILE
    if not body.startswith(_JSON_BEGINS):
        if own and not is_notice(body, response.headers["location"]):
            raise _astray(request, response, "with a body that tells of something else")
        return None
    try:
        reply = load_json(body)
    except ValueError as error:
        raise _astray(request, response, f"with a body that is no usable JSON ({error})") from None
    if not isinstance(reply, dict):
        if own and isinstance(reply, list) and any(isinstance(item, dict) for item in reply):
            raise _astray(request, response, "with an array of objects in its body")
        return None
    beside = {name: value for name, value in reply.items() if name != "job" and name not in STATE}
    if contradiction(beside, hook.known_state) or ("code" in reply and "job" not in reply):
        raise _astray(request, response, "with an error in its body")
    if own and "job" not in reply:
        told = (reply[name] for name in ("message", "description", "detail", "reason") if name in reply)
        if any(not is_notice(str(text).encode(), response.headers["location"]) for text in told):
            raise _astray(request, response, "with a message in its body")
    word = None
    # A gateway has a status of its own; Talkdesk's is the job's, wrapped or with the job's id.
    if "job" in reply or ("status" in reply and (own or JOB & reply.keys())):
        try:
            word = _word_of_job(hook, request, reply, job)
        except UnexpectedResponse as error:
            error.add(f"that was a {response.status} and led to {place_of(request, response)}")
            raise
        if hook.known_state(word) is JobState.RUNNING:
            raise _astray(request, response, f"with a body that says {word!r}")
    done = word is None or hook.known_state(word) is JobState.SUCCEEDED
    if own and done and (wrong := contradiction(reply, hook.known_state, anywhere=True)):
        raise _astray(request, response, f"with a body that says {wrong!r}")
    return word


def _word_of_job(hook: BatchJobHook, request: Request, reply: Mapping[str, Any], job: TalkdeskJobId) -> str:
    """
    Return the word of a response that is about a job.

    :raises UnexpectedResponse: of another job; or a success beside an error, or beside another word.
    """
    told = reply.get("job", reply)
    if not isinstance(told, dict):
        raise unexpected(request, "answered a job that is no JSON object")
    hook.check_job(request, job.job, reply)
    for kind in named(reply, REPORT_TYPE):
        if str(kind).casefold() != unquote(job.type_segment).casefold():
            raise unexpected(request, f"answered for the report type {clean(kind, 80)!r}")
    word, _ = hook.read_state(request, told.get("status"))
    hook.check_success(request, word, reply)
    return word


def _target(hook: BatchJobHook, request: Request, response: Response, job: TalkdeskJobId) -> _Target:
    """Return where a redirect leads."""
    if not response.headers.get("location"):
        return _Target.NOWHERE
    try:
        url = location_of(request, response)
    except UnexpectedResponse:
        return _Target.ELSEWHERE
    base = hook.settings.base_url
    if is_storage(url, job, base, token_url(hook)) and not is_login_host(url):
        return _Target.STORAGE
    # A vendor behind a gateway does not know the gateway's path.
    files = [f"{root}{file_path(job)}" for root in ("", urlsplit(base).path)]
    parts = urlsplit(url)
    if (
        not same_origin(url, base)
        or _unquoted(parts.path) not in map(_unquoted, files)
        or "@" in parts.netloc
    ):
        return _Target.ELSEWHERE
    said = dict(parse_qsl(f"{parts.query}&{parts.fragment}"))
    other = contradiction(said, hook.known_state) or any(name != job.job for name in named(said, JOB))
    return _Target.ELSEWHERE if other else _Target.JOBS_FILE


def _astray(request: Request, response: Response, what: str) -> UnexpectedResponse:
    place = place_of(request, response)
    return unexpected(request, f"answered {response.status} and led to {place}, {what}", response.status)


def _unquoted(path: str) -> list[str]:
    return [unquote(segment) for segment in path.split("/")]
