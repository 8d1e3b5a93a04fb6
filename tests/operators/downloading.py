"""The two operators that download, and a finished job for each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from airflow_provider_jobstatus.operators.ruler import RulerDownloadRevenueFailuresOperator
from airflow_provider_jobstatus.operators.talkdesk import TalkdeskDownloadReportOperator
from airflow_provider_jobstatus.sandbox import Sandbox
from tests.support.flows import sample

CSV = sample("ruler/failures.csv")


@dataclass(frozen=True)
class Download:
    """
    An operator, its job, and what a sandbox is asked for it.

    :param spec: of a job that has ended.
    :param files: paths of the file, in the order in which they are asked for.
    :param name: of the file in a folder.
    """

    vendor: str
    operator: type[Any]
    job: str
    status: str
    files: tuple[str, ...]
    name: str
    rows: int
    spec: dict[str, Any]
    at_once: dict[str, int]

    def put_job(self, sandbox: Sandbox, **spec: Any) -> None:
        sandbox.put_job(self.vendor, self.job, **(self.at_once | spec))

    def put_ended(self, sandbox: Sandbox) -> None:
        self.put_job(sandbox, **self.spec)

    def make(self, destination: object, **arguments: Any) -> Any:
        given = {"task_id": "fetch", "job_id": self.job, "destination": str(destination), **arguments}
        return self.operator(**given)

    def run(self, destination: object, **arguments: Any) -> dict[str, Any]:
        manifest = self.make(destination, **arguments).execute({})
        keys = {"job_id", "path", "bytes", "rows", "sha256", "format", "verified_by"}
        assert set(manifest) - {"skipped"} == keys
        return json.loads(json.dumps(manifest, allow_nan=False))  # type: ignore[no-any-return]

    @property
    def calls(self) -> list[str]:
        """Paths that a download asks for, one after the other."""
        return [self.status, *self.files]


RULER = Download(
    "ruler",
    RulerDownloadRevenueFailuresOperator,
    "demo-site/rev-1",
    "/v1/demo-site/batch/rev-1/status",
    ("/v1/demo-site/batch/rev-1/failures",),
    "failures-demo-site--rev-1.csv",
    3,
    {"total_rows": 20, "failed_rows": 3, "failures_csv": CSV.decode()},
    {"pending_seconds": 0, "processing_seconds": 0},
)
TALKDESK = Download(
    "talkdesk",
    TalkdeskDownloadReportOperator,
    "calls/0f9c",
    "/data/reports/calls/jobs/0f9c",
    ("/data/reports/calls/files/0f9c", "/reports/calls/files/0f9c"),
    "0f9c-calls--0f9c.csv",
    40,
    {"rows": 40},
    {"created_seconds": 0, "processing_seconds": 0, "uploading_seconds": 0},
)
BOTH = {"ruler": RULER, "talkdesk": TALKDESK}
#: Each, with each of the paths of its file.
FILES = [(name, path) for name, download in BOTH.items() for path in download.files]


def calls(sandbox: Sandbox) -> list[str]:
    """Return the paths that were asked for, logins left out."""
    return [
        request["target"].partition("?")[0] for request in sandbox.requests if request["origin"] != "auth"
    ]


def credentials(sandbox: Sandbox, vendor: str, form: str = "", **changes: Any) -> str:
    """Return the sandbox's connection of a vendor as JSON, with changes; ``extra`` is merged."""
    connection = sandbox.connection(vendor, **({form: True} if form else {}))
    extra = connection["extra"] | changes.pop("extra", {})
    return json.dumps(connection | changes | {"extra": extra})
