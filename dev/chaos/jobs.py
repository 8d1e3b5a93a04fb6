"""The jobs that are waited for while everything fails, and how each of them truly ends."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sandbox.vendor import Connection

VENDORS = ("aftercare", "questionpro", "ruler", "talkdesk")

#: QuestionPro's ids are numbers, and begin here.
QUESTIONPRO_IDS = 700_000

#: The last words of each vendor in the sandbox and what they mean, written down apart from the package's own
#: tables.
ENDS: Mapping[str, Mapping[str, str]] = {
    "aftercare": {"completed": "succeeded", "partial_failure": "partial", "total_failure": "failed"},
    "questionpro": {"Delivery Successful": "succeeded", "Delivery Refused": "failed"},
    "ruler": {"complete": "succeeded", "partialcomplete": "partial", "failed": "failed"},
    "talkdesk": {"done": "succeeded", "failed": "failed", "canceled": "cancelled", "deleted": "cancelled"},
}


@dataclass(frozen=True)
class Job:
    """One job.

    :param kind: `wait` for a wait that ends well whatever the job does, `strict` for one that fails with its
        job, `list` for one of many in the same wait
    :param state: how it ends
    :param spec: its spec in the sandbox
    """

    vendor: str
    job_id: str
    kind: str
    state: str
    spec: Mapping[str, Any] = field(repr=False)


def plan(count: int, seed: int, *, shortest: float, longest: float) -> list[Job]:
    """Return jobs of all vendors.

    :param count: how many
    :param seed: of the dice
    :param shortest: seconds that the quickest job takes from its first status request
    :param longest: seconds that the slowest one takes
    """
    dice = random.Random(seed)
    return [_job(number, dice, dice.uniform(shortest, longest)) for number in range(count)]


def _job(number: int, dice: random.Random, seconds: float) -> Job:
    vendor = VENDORS[number % len(VENDORS)]
    words = list(ENDS[vendor])
    word = dice.choices(words, [4, *[1] * (len(words) - 1)])[0]
    state = ENDS[vendor][word]
    # One in twenty is in the list; one in three of those that end badly fails its task.
    kind = "list" if number % 20 == 3 else "wait"
    if kind == "wait" and state in ("failed", "cancelled") and dice.random() < 1 / 3:
        kind = "strict"
    spec: dict[str, Any] = {"end": word, "start_on_first_poll": True}
    stages: tuple[str, ...]
    match vendor:
        case "aftercare":
            job_id, stages = f"chaos-{number}", ("queued", "processing")
        case "questionpro":
            job_id, stages = str(QUESTIONPRO_IDS + number), ("running",)
        case "ruler":
            job_id, stages = f"chaos-site/chaos-{number}", ("pending", "processing")
            spec |= {"failed_rows": 7} if word == "partialcomplete" else {}
            spec |= {"failure_reason": "The file could not be read."} if word == "failed" else {}
        case _:
            job_id, stages = f"calls/chaos-{number}", ("created", "processing", "uploading")
    spec |= {f"{stage}_seconds": seconds / len(stages) for stage in stages}
    return Job(vendor, job_id, kind, state, spec)


def put(sandbox: Sandbox, jobs: Iterable[Job]) -> None:
    """Give the jobs to the sandbox."""
    for job in jobs:
        sandbox.put_job(job.vendor, job.job_id, **job.spec)


def connections(sandbox: Sandbox) -> dict[str, Connection]:
    """Return a connection to each vendor, by its id."""
    made = {vendor: sandbox.connection(vendor) for vendor in VENDORS}
    # Its vocabulary is open, so that a bad end has to be made known.
    made["questionpro"]["extra"] = {"statuses": {"Delivery Refused": "failed"}}
    return {f"{vendor}_chaos": connection for vendor, connection in made.items()}


def truth(sandbox: Sandbox, jobs: Sequence[Job]) -> dict[tuple[str, str], str]:
    """Return how each job has ended by the sandbox's own record; one that has not is `running`."""
    ends: dict[tuple[str, str], str] = {}
    reported = {(view["vendor"], view["id"]): str(view["status"]) for view in sandbox.jobs()}
    for job in jobs:
        ends[job.vendor, job.job_id] = ENDS[job.vendor].get(reported[job.vendor, job.job_id], "running")
    return ends


def number_of(text: str) -> int:
    """Return the number of the job whose id, or whose path, this is."""
    return int(re.findall(r"(\d+)(?:/status)?$", text)[0]) % QUESTIONPRO_IDS


def polls(sandbox: Sandbox, jobs: Sequence[Job]) -> int:
    """Return how many status requests reached the jobs."""
    ours = {(job.vendor, job.job_id) for job in jobs}
    return sum(view["polls"] for view in sandbox.jobs() if (view["vendor"], view["id"]) in ours)
