"""Everything that a test can set or read of a sandbox.

The admin API and the Python class both lead here, so they cannot differ.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from airflow_provider_jobstatus.sandbox.aftercare import Aftercare
from airflow_provider_jobstatus.sandbox.faults.fault_script import read_faults, read_listed_words
from airflow_provider_jobstatus.sandbox.faults.random_faults import RandomFaults
from airflow_provider_jobstatus.sandbox.lists import Lister
from airflow_provider_jobstatus.sandbox.questionpro import QuestionPro
from airflow_provider_jobstatus.sandbox.recording import Recorder
from airflow_provider_jobstatus.sandbox.ruler import Ruler
from airflow_provider_jobstatus.sandbox.sandbox_clock import Clock
from airflow_provider_jobstatus.sandbox.script import Answers, read_script
from airflow_provider_jobstatus.sandbox.talkdesk import Talkdesk
from airflow_provider_jobstatus.sandbox.vendor import JobView, Origin, Vendor


class Control:
    """The whole state of a sandbox. Only the thread of its event loop touches it, so there are no locks.

    :param settings: First settings by vendor, with the keys of ``PATCH /_sandbox/<vendor>/settings``.
    """

    def __init__(self, settings: Mapping[str, Mapping[str, object]] | None = None) -> None:
        self.clock = Clock()
        self.urls: dict[Origin, str] = {}  # known when the server has started
        self.recorder = Recorder()
        self.answers = Answers()
        self.handshakes: deque[str] = deque()
        self.random_faults = RandomFaults(self.vendor_at)
        vendors: tuple[Vendor, ...] = (
            Aftercare(self.clock),
            QuestionPro(self.clock),
            Ruler(self.clock),
            Talkdesk(self.clock, self.urls),
        )
        self.vendors = {vendor.name: vendor for vendor in vendors}
        for name, changes in (settings or {}).items():
            self.change_settings(name, changes)

    def vendor(self, name: str) -> Vendor:
        """Return a vendor by its name."""
        if name not in self.vendors:
            raise LookupError(f"There is no vendor {name!r} here, only {', '.join(self.vendors)}.")
        return self.vendors[name]

    def vendor_at(self, path: str) -> Vendor | None:
        """Return the vendor that has a path, if one has."""
        vendors = self.vendors.values()
        return next((each for each in vendors if path.startswith(tuple(each.prefixes))), None)

    def put_job(self, vendor: str, job_id: str, spec: Mapping[str, object]) -> JobView:
        """Make or replace a job."""
        stand_in = self.vendor(vendor)
        script, listed = map(spec.get, ("script", "listed")) if isinstance(spec, Mapping) else (None, None)
        if isinstance(listed, str):
            spec = {**spec, "listed": read_listed_words(listed, stand_in)}
        if isinstance(script, str):
            entries = read_faults(script, stand_in, of_job=True)
            spec = {**spec, "script": [entry for entry in entries if entry.certificate is None]}
            # Over TLS each request has a connection of its own, so that one handshake belongs to each entry.
            self.handshakes = deque(entry.certificate or "good" for entry in entries)
        return stand_in.put_job(job_id, spec)

    def put_answers(self, path: str, script: object, method: str = "GET") -> int:
        """Script the next answers to one method and path; return how many there are."""
        if not path.startswith("/") or "?" in path:
            raise ValueError("path must begin with a slash and have no query.")
        if isinstance(script, str):
            vendor = self.vendor_at(path)
            lister = vendor if isinstance(vendor, Lister) and method.upper() == "GET" else None
            dialect = lister.list_dialect(path) if lister else None
            # The path of a stored file belongs to no vendor; then the words do not matter.
            entries = read_faults(script, vendor or self.vendor("ruler"), of_job=False, dialect=dialect)
        else:
            entries = read_script(script)
        self.answers.put(method, path, entries)
        return len(entries)

    def next_certificate(self) -> str:
        """Return which certificate the next connection over TLS gets."""
        # The last one stays, as the last answer of a job's script does.
        return self.handshakes.popleft() if len(self.handshakes) > 1 else "".join(self.handshakes) or "good"

    def change_settings(self, vendor: str, changes: Mapping[str, object]) -> dict[str, Any]:
        """Change a vendor's settings and return them all."""
        self.vendor(vendor).change_settings(changes)
        return self.vendor(vendor).settings()

    def jobs(self) -> list[JobView]:
        """Return the jobs of all vendors."""
        return [job for vendor in self.vendors.values() for job in vendor.jobs()]

    def health(self) -> dict[str, Any]:
        """Return a sign of life."""
        return {"status": "ok", "now": self.clock.now(), "vendors": sorted(self.vendors)}
