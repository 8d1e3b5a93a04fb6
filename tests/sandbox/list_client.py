"""A client of the lists of jobs of the two vendors that have them, for their tests."""

from __future__ import annotations

from typing import Any

import requests

from airflow_provider_jobstatus.sandbox import Sandbox
from tests.sandbox.talkdesk_client import ask as ask_talkdesk

VENDORS = ("ruler", "talkdesk")
#: How a job's one-string id begins, and where its list and its status are.
FOLDERS = {"ruler": "s", "talkdesk": "contacts"}
LISTS = {"ruler": "/v1/s/batch/jobs", "talkdesk": "/data/reports/contacts/jobs"}
STATUSES = {"ruler": "s/batch/{}/status", "talkdesk": "contacts/jobs/{}"}
IDS = {"ruler": "jobId", "talkdesk": "id"}
DONE = {"ruler": "complete", "talkdesk": "done"}
EMPTY = {"ruler": "empty-site/batch/jobs", "talkdesk": "ring_attempts/jobs"}
PREFIXES = {"ruler": "/v1/", "talkdesk": "/data/reports/"}


def put(sandbox: Sandbox, vendor: str, job: str, **spec: object) -> None:
    sandbox.put_job(vendor, f"{FOLDERS[vendor]}/{job}", **spec)


def ask(sandbox: Sandbox, vendor: str, path: str) -> requests.Response:
    if vendor == "talkdesk":
        return ask_talkdesk(sandbox, path)
    token = sandbox.connection("ruler", token=True)["password"]
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{sandbox.api_url}/v1/{path}", headers=headers, timeout=30)


def ask_list(sandbox: Sandbox, vendor: str, query: str = "") -> requests.Response:
    return ask(sandbox, vendor, LISTS[vendor].removeprefix(PREFIXES[vendor]) + query)


def of(vendor: str, reply: requests.Response) -> Any:
    """Return what a reply has for entries."""
    return reply.json() if vendor == "ruler" else reply.json()["_embedded"]["jobs"]


def entries(sandbox: Sandbox, vendor: str, query: str = "") -> Any:
    return of(vendor, ask_list(sandbox, vendor, query))


def shown(sandbox: Sandbox, vendor: str) -> list[tuple[str, object]]:
    return [(entry[IDS[vendor]], entry["status"]) for entry in entries(sandbox, vendor)]


def word(sandbox: Sandbox, vendor: str, job: str) -> object:
    body = ask(sandbox, vendor, STATUSES[vendor].format(job)).json()
    return body.get("job", body)["status"]
