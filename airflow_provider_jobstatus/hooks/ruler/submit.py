"""
How files are uploaded to Ruler; see :mod:`airflow_provider_jobstatus.hooks.ruler`.

No page that could be read names the address of an upload, its method, or the part that holds the file: all
three are inferred from the addresses beside it, and the first and the last can be set.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from functools import partial

from airflow_provider_jobstatus.core.contradictions import SITE, named
from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.core.http import Flow, Request, Response, StreamedBody
from airflow_provider_jobstatus.core.ids import path_segment
from airflow_provider_jobstatus.core.multipart import FileForm
from airflow_provider_jobstatus.core.operation import Operation
from airflow_provider_jobstatus.core.responses import expect, expect_json, unexpected
from airflow_provider_jobstatus.hooks.base import BatchJobHook
from airflow_provider_jobstatus.hooks.ruler.refusals import explained, is_json
from airflow_provider_jobstatus.hooks.ruler.upload_columns import JobType

#: Inferred.
UPLOAD_PATH, PART_NAME = "/{site_id}/{job_type}/batch", "file"
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))(?:[A-Za-z0-9._~-]|\{site_id\}|\{job_type\})+)+")
#: Statuses by which a server says that nothing there takes an upload.
NO_SUCH_PLACE = frozenset({404, 405})


@dataclass(frozen=True, slots=True)
class UploadPlace:
    """
    Where a file is uploaded.

    :param site: of the jobs, as job ids have it.
    :param job_type: of the upload.
    :param path: after the base URL, quoted.
    :param part_name: of the form's part that holds the file.
    """

    site: str
    job_type: JobType
    path: str
    part_name: str


def upload_place(
    hook: BatchJobHook,
    job_type: JobType,
    site_id: str | None = None,
    upload_path: str | None = None,
    part_name: str | None = None,
) -> UploadPlace:
    """
    Return where to upload to: as given, else as the connection's extra has it, else as inferred.

    :param upload_path: after the base URL; ``{site_id}`` and ``{job_type}`` stand for these.
    :raises SettingsError: no site, or what cannot be a path or the name of a part.
    """
    site = site_id or hook.settings.text("site_id")
    if not site:
        raise SettingsError(
            f"site_id is not set; give it, or set extra 'site_id' of connection {hook.conn_id!r}"
        )
    segment = path_segment(site, "siteId", "site_id")
    path = upload_path or hook.settings.text("upload_path") or UPLOAD_PATH
    if not _PATH.fullmatch(path):
        source = "upload_path" if upload_path else f"extra 'upload_path' of connection {hook.conn_id!r}"
        raise SettingsError(
            f"{source} is no path after the base URL; give one such as {UPLOAD_PATH!r}, in which {{site_id}} "
            "and {job_type} stand for the site and for 'revenue' or 'opportunity'"
        )
    path = path.replace("{site_id}", segment).replace("{job_type}", job_type)
    return UploadPlace(site, job_type, path, part_name or hook.settings.text("part_name") or PART_NAME)


def upload_flow(hook: BatchJobHook, place: UploadPlace, content: StreamedBody) -> Flow[str]:
    """
    Upload a file: ``POST /{siteId}/revenue/batch`` as ``multipart/form-data``, as far as it can be inferred.

    Smallest reply relied on, with any 2xx: ``{"jobId": "j1"}``. A 400 has row-level errors, whose form is on
    no page, and makes no job.

    :return: the job id.
    :raises SettingsError: the part has no usable name, and nothing was sent; or the content is not what was
        checked, and the upload was broken off.
    :raises UnexpectedResponse: a 2xx that names no job.
    """
    form = FileForm(
        place.part_name,
        f"{place.job_type}.csv",
        "text/csv",
        content,
        f"jobstatus-{secrets.token_hex(16)}",
    )
    request = hook.request("POST", place.path, headers={"Content-Type": form.content_type}, body=form)
    response = yield request
    if not 200 <= response.status < 300:
        raise _refused(request, response, place)
    reply = expect_json(request, response, response.status)
    for site in named(reply, SITE):
        if str(site).casefold() != place.site.casefold():
            raise unexpected(request, "answered for another site")
    if reply.get("error") or reply.get("errors") or reply.get("jobType", place.job_type) != place.job_type:
        raise unexpected(request, "answered an error, or a job of another type")
    job = reply.get("jobId")
    if isinstance(job, bool) or not isinstance(job, (str, int)):
        raise unexpected(request, "answered without the id of a job")
    try:
        return str(hook.parse_job_id(f"{place.site}/{job}"))
    except SettingsError as error:
        raise unexpected(request, f"answered an id that is none: {error}") from None


def _refused(request: Request, response: Response, place: UploadPlace) -> VendorError:
    """Return the error of a reply that is no 2xx. Its text may repeat cells: it is not shown as it is."""
    try:
        expect(request, replace(response, body=b""))
    except VendorError as error:
        if told := explained(response.body):
            error.add(told)
        if response.status in NO_SUCH_PLACE:
            error.add(
                f"no page of Ruler's names the address of uploads: {place.path} may be wrong; ask Ruler for "
                "it, and set upload_path of the task or extra 'upload_path' of the connection"
            )
        elif response.status in (400, 415, 422) and not told:
            error.add(
                f"if nothing is wrong with the file, the name of its part, {place.part_name!r}, may be: set "
                "part_name"
            )
        return error
    return unexpected(request, "answered nothing that this call has", response.status)


def upload_operation(hook: BatchJobHook, place: UploadPlace, content: StreamedBody) -> Operation[str]:
    """Return the operation that uploads a file."""
    return hook.submission(partial(upload_flow, hook, place, content))


def is_own_refusal(response: Response) -> bool:
    """
    Return whether a 4xx shows that an upload has made no job: one in JSON. No page shows Ruler's errors; but
    the page of a gateway may stand in the place of a job that was made.
    """
    return 400 <= response.status < 500 and is_json(response.body)
