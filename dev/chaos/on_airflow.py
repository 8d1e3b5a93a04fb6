"""`make chaos`: nothing is lost on a real Airflow whose triggerers are killed while the vendors fail.

A scheduler, an api-server and two triggerers on PostgreSQL. Every fifth request of a vendor meets a fault; a
triggerer is killed every 20 s, one is paused and woken, keys are rotated, the api-server is away for a while.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet

from airflow_provider_jobstatus.sandbox import Sandbox
from airflow_provider_jobstatus.sandbox.faults.random_faults import EarlyCall
from dev.chaos import jobs
from dev.chaos import outcome as chaos_outcome
from dev.chaos.disturbances import FULL, SHORT, WAKE_WINDOW, Disturber, Keys, Timetable
from dev.chaos.rig import FAULT_RATE, Bar, Finished, command
from dev.postgres import PostgresDatabase
from dev.stack import AirflowStack
from tests.support import canaries
from tests.support.canaries import Canary

DAGS = Path(__file__).parent / "dags"
_PACKAGE = b"airflow_provider_jobstatus/"


@dataclass(frozen=True)
class Size:
    """How much is waited for, and for how long a job runs, in seconds.

    :param limit: seconds after which the run counts as it stands
    """

    waits: int
    poll_interval: float
    shortest: float
    longest: float
    limit: float
    timetable: Timetable


def size(waits: int) -> Size:
    """Return what fits a number of waits: a short run, bounded to some minutes, or a long one."""
    if waits <= 100:
        return Size(waits, 5.0, 20.0, 90.0, 420.0, SHORT)
    return Size(waits, 10.0, 60.0, 300.0, 5400.0, FULL)


def run(home: Path, plan: Size, seed: int) -> Finished:
    """Wait for all jobs on a real Airflow while everything fails.

    :param home: folder for everything that is written
    :param plan: how much
    :param seed: of all dice
    """
    waited = jobs.plan(plan.waits, seed, shortest=plan.shortest, longest=plan.longest)
    plan_file = home / "plan.json"
    plan_file.write_text(json.dumps({"poke_interval": plan.poll_interval, **chaos_outcome.plan_of(waited)}))
    fernet_key = Fernet.generate_key()
    env = {
        "JOBSTATUS_CHAOS_PLAN": str(plan_file),
        "AIRFLOW__CORE__FERNET_KEY": fernet_key.decode(),
        # Tasks that Airflow lost while there was no api-server are tried again after a minute, not five.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__MAX_TIS_PER_QUERY": "64",
    }
    with Sandbox() as sandbox, PostgresDatabase() as database:
        jobs.put(sandbox, waited)
        keys = Keys(sandbox)
        stack = AirflowStack(home / "home", DAGS, env, triggerers=2, database=database, progress=print)
        with stack:
            keys.rotate(stack.add_connection)
            sandbox.random_faults(FAULT_RATE, seed=seed)
            began_at = time.monotonic()
            run_id = stack.trigger("chaos")
            disturber = Disturber(stack, database, sandbox, keys, plan.timetable, FAULT_RATE, seed)
            triggers = _watch(database, disturber, run_id, began_at + plan.limit, Fernet(fernet_key))
            seconds = time.monotonic() - began_at
        places = {"rows of triggers": triggers, "dump of the database": database.dump()}
        places |= {
            str(path.relative_to(home)): path.read_bytes()
            for path in (home / "home").rglob("*")
            if path.is_file()
        }
        record = chaos_outcome.read(database, home / "home" / "logs")
        outcome = chaos_outcome.judge(record, waited, jobs.truth(sandbox, waited))
        faults = sandbox.fault_report()
        early, told_another = early_calls(faults["early"], disturber.wakes)
        tracebacks = _tracebacks(places)
        return Finished(
            plan.waits,
            outcome.lost,
            outcome.wrong,
            outcome.twice,
            jobs.polls(sandbox, waited),
            faults,
            early,
            told_another,
            canaries.leaks(places, [*keys.known, *_some_tokens(sandbox)]),
            seconds,
            [
                Bar(
                    "attempts that ended with an error of ours",
                    outcome.our_errors.total(),
                    0,
                    outcome.our_errors,
                ),
                Bar("attempts beyond the first", outcome.retried),
                Bar("triggerers killed", disturber.done["kill a triggerer"]),
                Bar("triggerers paused", disturber.done["wake it"]),
                Bar("rotations of all keys", disturber.done["rotate the keys"]),
                Bar("times without api-server", disturber.done["start the api-server"]),
                Bar("triggerer exits of their own", len(disturber.exits), 0, disturber.exits),
                Bar("lines of our code in triggerers' tracebacks", len(tracebacks), 0, tracebacks),
                Bar("bytes searched for secrets", sum(map(len, places.values()))),
            ],
        )


def _watch(
    database: PostgresDatabase, disturber: Disturber, run_id: str, give_up_at: float, fernet: Fernet
) -> bytes:
    """Disturb until the run has ended; return the triggers' arguments as they stood, decrypted."""
    seen: set[str] = set()
    step = 0
    while time.monotonic() < give_up_at:
        disturber.step()
        step += 1
        if step % 10 == 0:
            rows = database.query("SELECT kwargs::text AS text FROM trigger LIMIT 200")
            for text in (row["text"] for row in rows):
                # Airflow stores them encrypted, but its page shows them in clear.
                seen.add(fernet.decrypt(text).decode() if text.startswith("gAAAA") else text)
            if step % 60 == 0:
                states = database.task_states().items()
                disturber.say("          " + ", ".join(f"{count} {state}" for state, count in states))
            [found] = database.query(f"SELECT state FROM dag_run WHERE run_id = '{run_id}'")  # noqa: S608
            if found["state"] in ("success", "failed"):
                break
        time.sleep(0.5)
    disturber.end()
    return "\n".join(sorted(seen)).encode()


def _some_tokens(sandbox: Sandbox) -> list[Canary]:
    """Return the newest of the tokens that the vendors gave."""
    given: dict[str, None] = {}
    for request in reversed(sandbox.requests):
        value = next((text for name, text in request["headers"] if name.lower() == "authorization"), "")
        if value.startswith("Bearer "):
            given[value.removeprefix("Bearer ")] = None
        if len(given) >= 20:
            break
    # What is the same in all of them is no secret.
    return [Canary("token", token, token[-14:]) for token in given]


def _tracebacks(places: dict[str, bytes]) -> list[str]:
    """Return the lines of the triggerers' logs that point into our code."""
    return [
        f"{name}: {line.decode(errors='replace').strip()}"
        for name, content in places.items()
        if "components/triggerer" in name
        for line in content.splitlines()
        if b"File " in line and _PACKAGE in line
    ]


def early_calls(early: Sequence[EarlyCall], wakes: Sequence[float]) -> tuple[list[EarlyCall], int]:
    """Return the calls that came too early, and how many are left out because their caller could not know.

    :param early: all that the sandbox has recorded
    :param wakes: when a triggerer was woken that still believed waits to be its own: for a moment a wait has
        two owners, and what one of them receives the other does not
    """
    counted = [call for call in early if not any(wake <= call["at"] < wake + WAKE_WINDOW for wake in wakes)]
    return counted, len(early) - len(counted)


def measure(folder: Path, waits: int, seed: int) -> list[Bar]:
    """Wait for so many jobs, and return what was counted."""
    return run(folder, size(waits), seed).bars()


if __name__ == "__main__":
    sys.exit(command("dev.chaos.on_airflow", __doc__, measure, 60))
