"""A client of the stand-ins, with the credentials of the sandbox."""

from __future__ import annotations

import json
from typing import Any

import requests

from airflow_provider_jobstatus.sandbox import Sandbox

BASES = {
    "aftercare": "/api/v1/",
    "questionpro": "/a/api/v2/micropanel/",
    "ruler": "/v1/",
    "talkdesk": "/data/reports/",
}
KEYS = {"aftercare": "X-Aftercare-Key", "questionpro": "api-key"}
#: The spec of a job of Talkdesk's that is done at once.
NOW: dict[str, float] = {"created_seconds": 0, "processing_seconds": 0, "uploading_seconds": 0}


def credentials(vendor: str, sandbox: Sandbox) -> dict[str, str]:
    """Return the headers that a vendor accepts."""
    connection = sandbox.connection(vendor, token=True)
    secret = connection["password"]
    if vendor in KEYS:
        return {KEYS[vendor]: secret}
    if vendor == "talkdesk":
        login, form = (connection["login"], secret), {"grant_type": "client_credentials"}
        reply = requests.post(connection["extra"]["token_url"], data=form, auth=login, timeout=10)
        secret = reply.json()["access_token"]
    return {"Authorization": f"Bearer {secret}"}


def ask(
    vendor: str, sandbox: Sandbox, path: str, body: object = None, method: str | None = None, **params: str
) -> requests.Response:
    """
    Send a request with good credentials; redirects are not followed.

    :param path: below the vendor's base.
    :param body: to be sent as JSON, with a POST.
    """
    return requests.request(
        method or ("GET" if body is None else "POST"),
        f"{sandbox.api_url}{BASES[vendor]}{path}",
        headers=credentials(vendor, sandbox),
        data=None if body is None else json.dumps(body),
        params=params,
        allow_redirects=False,
        timeout=30,
    )


# Lists of jobs


VENDORS = ("ruler", "talkdesk")
#: How a job's one-string id begins, and where its list and its status are.
FOLDERS = {"ruler": "s", "talkdesk": "contacts"}
LISTS = {"ruler": "/v1/s/batch/jobs", "talkdesk": "/data/reports/contacts/jobs"}
STATUSES = {"ruler": "s/batch/{}/status", "talkdesk": "contacts/jobs/{}"}
IDS = {"ruler": "jobId", "talkdesk": "id"}
DONE = {"ruler": "complete", "talkdesk": "done"}
EMPTY = {"ruler": "empty-site/batch/jobs", "talkdesk": "ring_attempts/jobs"}


def put(sandbox: Sandbox, vendor: str, job: str, **spec: object) -> None:
    sandbox.put_job(vendor, f"{FOLDERS[vendor]}/{job}", **spec)


def ask_list(sandbox: Sandbox, vendor: str, query: str = "") -> requests.Response:
    return ask(vendor, sandbox, LISTS[vendor].removeprefix(BASES[vendor]) + query)


def of(vendor: str, reply: requests.Response) -> Any:
    """Return what a reply has for entries."""
    return reply.json() if vendor == "ruler" else reply.json()["_embedded"]["jobs"]


def entries(sandbox: Sandbox, vendor: str, query: str = "") -> Any:
    return of(vendor, ask_list(sandbox, vendor, query))


def shown(sandbox: Sandbox, vendor: str) -> list[tuple[str, object]]:
    return [(entry[IDS[vendor]], entry["status"]) for entry in entries(sandbox, vendor)]


def word(sandbox: Sandbox, vendor: str, job: str) -> object:
    body = ask(vendor, sandbox, STATUSES[vendor].format(job)).json()
    return body.get("job", body)["status"]
