"""What one DAG of waits costs on a running Airflow, step by step; for :mod:`dev.real_triggerer`."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Sequence

from dev.api import StackError
from dev.postgres import PostgresDatabase
from dev.real_triggerer import machine as real_machine
from dev.real_triggerer.machine import Memory
from dev.real_triggerer.result import Costs, Result, Sizes, Window
from dev.real_triggerer.vendor import Vendor
from dev.stack import AirflowStack

#: DAGs, each with the waits of one kind; the last is never ended and shows what waits cost that do not ask.
SUBJECTS = ("http_sensor", "ruler", "talkdesk", "ruler_list", "talkdesk_list", "held")
LISTS = ("ruler_list", "talkdesk_list")
#: Job of the first sensors, which has ended.
FIRST = 1
#: Seconds that the worker of a task needs at most to end, once Airflow knows what has become of the task.
_AFTERMATH = 5.0


class Measurement:
    """
    Measures DAGs, one after the other, each with a fresh triggerer.

    :param jobs: names of the jobs.
    :param say: called with a short sentence when something has come further.
    """

    def __init__(
        self,
        stack: AirflowStack,
        database: PostgresDatabase,
        vendor: Vendor,
        sizes: Sizes,
        jobs: Sequence[int],
        say: Callable[[str], None],
    ) -> None:
        self._stack = stack
        self._database = database
        self._vendor = vendor
        self._sizes = sizes
        self._jobs = list(jobs)
        self._say = say

    def warm_up(self) -> None:
        """Let each sensor succeed once, so that nothing is done for the first time later."""
        self._vendor.end({FIRST: time.time()})
        for dag_id in ("first_http_sensor", "first_batch_job_sensor"):
            if self._stack.wait(dag_id, self._stack.trigger(dag_id), timeout=300.0) != "success":
                raise StackError(f"{dag_id} failed; logs: {self._stack.home}")

    def measure(self, subject: str) -> Result:
        """
        Start the DAG, and measure until its last task has succeeded.

        :raises StackError: something took too long, or a task did not succeed.
        """
        sizes = self._sizes
        result = Result(subject, 1 if subject in LISTS else sizes.waits)
        self._vendor.begin(self._jobs)
        self._stack.restart("triggerer")
        time.sleep(sizes.settle)
        result.idle = self._windows()
        result.idle_memory = self._memory()

        began_at, before = time.time(), self._costs()
        run_id = self._stack.trigger(subject)
        where = f"dag_id = '{subject}' AND run_id = '{run_id}'"
        self._until(lambda: self._database.task_states(where) == {"deferred": result.tasks}, where)
        time.sleep(_AFTERMATH)
        result.defer = self._since(before)
        # A task is 'deferred' some moments before a triggerer takes it.
        joined = f"trigger JOIN task_instance ON trigger.id = trigger_id WHERE {where}"
        self._until(lambda: self._number(f"count(triggerer_id) AS n FROM {joined}") == result.tasks, where)
        last = f"extract(epoch FROM max(trigger.created_date)) AS n FROM {joined}"
        result.exact_defer = self._number(last) - began_at
        self._say(f"{subject}: all deferred after {result.exact_defer:.0f} s")

        time.sleep(sizes.settle)
        result.windows = self._windows()
        result.memory = self._memory()
        if subject != "held":
            self._finish(result, where)
        return result

    def _finish(self, result: Result, where: str) -> None:
        ends = [
            time.time() + 5.0 + self._sizes.spread * place / len(self._jobs)
            for place in range(len(self._jobs))
        ]
        random.Random(1).shuffle(ends)
        before = self._costs()
        self._vendor.end(dict(zip(self._jobs, ends, strict=True)))
        self._until(
            lambda: (
                self._database.task_states(where).keys()
                <= {"success", "failed", "upstream_failed", "skipped"}
            ),
            where,
        )
        time.sleep(_AFTERMATH)
        result.finish = self._since(before)
        if (states := self._database.task_states(where)) != {"success": result.tasks}:
            raise StackError(f"{result.subject}: these are not all successes: {states}")
        rows = self._database.query(
            f"SELECT map_index, extract(epoch FROM end_date) AS ended_at FROM task_instance WHERE {where}"  # noqa: S608
        )
        if result.tasks == 1:
            result.delays = [rows[0]["ended_at"] - max(ends)]
        else:
            ended = {row["map_index"]: row["ended_at"] for row in rows}
            result.delays = [ended[index] - end for index, end in enumerate(ends)]
        result.requests = self._vendor.counts().requests
        served_at = self._vendor.served_at()
        result.served = [
            served_at[job] - end for job, end in zip(self._jobs, ends, strict=True) if job in served_at
        ]
        self._say(f"{result.subject}: done")

    def _windows(self) -> list[Window]:
        found = []
        for _ in range(self._sizes.windows):
            began_at, cpu, airflow = time.monotonic(), self._triggerer_cpu(), self._costs().airflow
            counts = self._vendor.counts()
            time.sleep(self._sizes.window)
            later = self._vendor.counts()
            found.append(
                Window(
                    time.monotonic() - began_at,
                    self._triggerer_cpu() - cpu,
                    self._costs().airflow - airflow,
                    sum(later.requests.values()) - sum(counts.requests.values()),
                    later.connections - counts.connections,
                )
            )
        return found

    def _triggerer_cpu(self) -> float:
        return real_machine.session_cpu(self._stack.session("triggerer"))

    def _memory(self) -> Memory:
        return real_machine.session_memory(self._stack.session("triggerer"))

    def _costs(self) -> Costs:
        airflow = real_machine.descendants_cpu(os.getpid(), leave_out=[self._vendor.pid])
        return Costs(time.monotonic(), airflow, real_machine.machine_cpu())

    def _since(self, before: Costs) -> Costs:
        now = self._costs()
        return Costs(now.seconds - before.seconds, now.airflow - before.airflow, now.machine - before.machine)

    def _number(self, select: str) -> float:
        [row] = self._database.query(f"SELECT {select}")
        return float(row["n"])

    def _until(self, reached: Callable[[], bool], where: str) -> None:
        give_up_at, told_at = time.monotonic() + self._sizes.limit, time.monotonic()
        while not reached():
            self._stack.check_alive()
            if time.monotonic() > give_up_at:
                raise StackError(
                    f"took too long, with {self._database.task_states(where)}; logs: {self._stack.home}"
                )
            if time.monotonic() > told_at + 30:
                told_at = time.monotonic()
                self._say(json.dumps(self._database.task_states(where)))
            time.sleep(1.0)
