"""An operator that submits, and tries of its task as Airflow makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from airflow_provider_jobstatus.core.errors import VendorError
from airflow_provider_jobstatus.core.http import Flow
from airflow_provider_jobstatus.core.responses import expect_json, unexpected
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from airflow_provider_jobstatus.operators.submitting import SubmitOperator, digest_of
from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.tasks.order import Order
from tests.support.modes import StateStore, TaskInstance, run_deferred
from tests.support.times import FakeTime

PATH = "/api/v1/coding"
BODY = (
    b'{"surveyIdentifier": "s", "surveyResponses": [{"questionIdentifier": "q", "question": "?", '
    b'"responseEntries": [{"responseIdentifier": "r", "answer": "a"}]}]}'
)


def submit_flow(hook: AftercareHook, body: bytes) -> Flow[str]:
    request = hook.request("POST", "/coding", body=body)
    reply = expect_json(request, (yield request))
    if "batchJobId" not in reply:
        raise unexpected(request, "named no job")
    return str(reply["batchJobId"])


class Submits(SubmitOperator):
    """Submits to Aftercare; where a search is given, as if the vendor had a list."""

    hook_class = AftercareHook
    check = "Aftercare's page"
    body = BODY
    count: int | None = None
    log_fails = False
    before: Callable[[], Any] | None = None
    search: Callable[[Any], list[str]] | None = None
    earlier: Callable[[], list[str]] | None = None

    def __init__(self, *, aftercare_conn_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(own_conn_id=aftercare_conn_id, **kwargs)

    def orders(self, hook: AftercareHook, context: Any) -> list[Order] | Order:
        orders = [
            Order(
                operation=hook.submission(partial(submit_flow, hook, self.body)),
                digest=digest_of(self.body.decode()),
                about="coding",
                before=self.before,
                search=self.search,
                earlier=self.earlier,
            )
            for _ in range(self.count or 1)
        ]
        return orders if self.count else orders[0]

    def wait_for_jobs(self, context: Any) -> Any:
        if self.log_fails:
            raise LookupError("a fault of this provider")
        return super().wait_for_jobs(context)

    def fetch_results(self, hook: Any, result: Mapping[str, Any], destination: str) -> dict[str, Any]:
        if "broken" in destination:
            raise VendorError("broken", vendor="aftercare")
        return {"job_id": result["job_id"], "path": destination, "rows": 1, "bytes": 9}


class Task:
    """
    One task, tried as often as need be.

    :param kept: whether Airflow keeps a task's state, as from 3.3 on.
    :param retries: of the task.
    :param given: further arguments, and class attributes of :class:`Submits`.
    """

    def __init__(self, sandbox: Sandbox, *, kept: bool = True, retries: int = 1, **given: Any) -> None:
        self.sandbox = sandbox
        self.store = StateStore() if kept else None
        self.instance = TaskInstance()
        self.instance.max_tries = retries
        attributes = {name: given.pop(name) for name in list(given) if hasattr(Submits, name)}
        wrapped = {name: staticmethod(it) if callable(it) else it for name, it in attributes.items()}
        self._kind = type("Submits", (Submits,), wrapped)
        self._given = {"task_id": "submit", "retries": retries, **given}

    def run(self, time: FakeTime | None = None) -> Any:
        """Run the try that is due; the next one will be a retry."""
        context: dict[str, Any] = {"ti": self.instance}
        if self.store is not None:
            context["task_state_store"] = self.store
        operator = self._kind(**self._given)
        try:
            return operator.execute(context) if time is None else run_deferred(operator, context, time)
        except Exception as error:  # noqa: BLE001 - how a try ends is what tests look at
            return error
        finally:
            self.instance.try_number += 1

    def clear(self) -> None:
        """Clear the task, as Airflow does after its last try."""
        self.instance.max_tries = self.instance.try_number - 1 + int(self._given["retries"])

    @property
    def made(self) -> list[str]:
        """Ids of the jobs that were submitted, whether or not the task knows them."""
        jobs = (job["id"] for job in self.sandbox.jobs() if job["vendor"] == "aftercare")
        return [job for job in jobs if not job.startswith("coding-")]

    def lose(self, *entries: dict[str, Any]) -> None:
        """Let the vendor do what the next requests ask for, and answer as given."""
        self.sandbox.put_answers(PATH, [{"after_work": True, **entry} for entry in entries], method="POST")

    def refuse(self, *entries: dict[str, Any]) -> None:
        """Let the vendor do nothing, and answer the next requests as given."""
        self.sandbox.put_answers(PATH, list(entries), method="POST")

    def end_jobs(self, **job: Any) -> None:
        """Let the jobs that were submitted end."""
        for made in self.made:
            self.sandbox.put_job("aftercare", made, queued_seconds=0, processing_seconds=0, **job)
