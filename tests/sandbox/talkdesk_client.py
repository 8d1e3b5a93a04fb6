"""A client of the Talkdesk stand-in, for its tests."""

from __future__ import annotations

import requests

from airflow_provider_jobstatus.sandbox import Sandbox

NOW: dict[str, float] = {"created_seconds": 0, "processing_seconds": 0, "uploading_seconds": 0}
"""The spec of a job that is done at once."""


def ask(sandbox: Sandbox, path: str, method: str = "GET", body: object = None) -> requests.Response:
    connection = sandbox.connection("talkdesk")
    token = requests.post(
        connection["extra"]["token_url"],
        data={"grant_type": "client_credentials"},
        auth=(connection["login"], connection["password"]),
        timeout=10,
    ).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{sandbox.api_url}/data/reports/{path}"
    return requests.request(method, url, json=body, headers=headers, allow_redirects=False, timeout=10)
