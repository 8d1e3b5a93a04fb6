"""
What a DAG file pays for importing a sensor, over what Airflow itself costs it.

    python -m benchmarks.import_cost

Each figure comes from fresh processes. A process imports what the DAG file of any sensor imports of Airflow,
then the subject; the ratio is both together over Airflow alone, taken in the same round. Two measures:

- ``time``: the self times of ``-X importtime``, of both in one process;
- ``instructions``: of two processes, with and without the subject, less those of an empty Python; counted by
  ``perf stat``, or, where a machine has no counters, by valgrind, which takes half a minute a process.

Airflow loads under the garbage collector as usual; then it is switched off, because a full collection over
Airflow's objects, longer than any of these imports, falls on whoever makes the next few hundred objects. The
column "with collector" leaves it on.

The peers and Airflow are installed once, at pinned versions, into an environment of their own under
``build/``; with ``--no-peers`` the environment that runs this is measured, and needs Airflow only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __package__ in (None, ""):
    sys.path.insert(0, str(ROOT))

from dev import bootstrap  # noqa: E402 - found there, also when this file is run by its path

FOLDER = ROOT / "build" / "import-cost"
PEERS = ("apache-airflow-providers-http==6.3.0", "apache-airflow-providers-dbt-cloud==4.11.1")
#: What our sensor takes from Airflow, and every sensor's DAG file with it.
AIRFLOW = "from airflow.providers.common.compat.sdk import BaseOperator, BaseSensorOperator, conf"
OURS = "airflow_provider_jobstatus"
SENSOR = f"{OURS}.sensors.batch_job"
PEER_MODULES = {
    "HttpSensor": "airflow.providers.http.sensors.http",
    "dbt Cloud sensor": "airflow.providers.dbt.cloud.sensors.dbt",
}
#: Most that our sensor may cost, as a ratio.
BAR = 1.05
MARK = "-- Airflow is loaded --"

Figures = Sequence[float]


def subjects(peers: bool) -> dict[str, str]:
    """Return what is measured: a name for a person to its module."""
    operators = {
        f"operators.{path.stem}": f"{OURS}.operators.{path.stem}"
        for path in sorted((ROOT / OURS / "operators").glob("*.py"))
        # Each vendor's operators have the name of its hooks; the rest is theirs to use.
        if path.stem != "__init__" and (ROOT / OURS / "hooks" / path.name).exists()
    }
    return {"BatchJobSensor": SENSOR, **(PEER_MODULES if peers else {}), **operators}


class Children:
    """
    Runs Python processes that find nothing of the caller's settings, and compiled code where it should be.

    :param python: their interpreter.
    """

    def __init__(self, python: Path) -> None:
        self._python = python
        home = FOLDER / "home"
        home.mkdir(parents=True, exist_ok=True)
        self._env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(home),
            "AIRFLOW_HOME": str(home / "airflow"),
            "PYTHONPATH": str(ROOT),
            "PYTHONPYCACHEPREFIX": str(FOLDER / "compiled"),
            "PYTHONHASHSEED": "0",
        }

    def run(self, code: str, options: Sequence[str] = (), under: Sequence[str] = ()) -> tuple[str, str]:
        """Run ``code`` and return what it wrote to stdout and to stderr."""
        command = [*under, str(self._python), *options, "-c", code]
        done = subprocess.run(command, env=self._env, cwd=FOLDER, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"import_cost: a process ended with exit code {done.returncode}:\n{done.stderr[-2000:]}")
        return done.stdout, done.stderr


def code_of(module: str | None, collector: bool = False) -> str:
    """Return what a process runs: Airflow's part, and then the subject's, if any."""
    switch = "" if collector else "import gc; gc.disable()"
    then = f"import {module}" if module else ""
    return f"import sys\n{AIRFLOW}\n{switch}\nprint('{MARK}', file=sys.stderr, flush=True)\n{then}\n"


def importtime(children: Children, module: str, collector: bool) -> tuple[float, float]:
    """Return the milliseconds that Airflow's modules took to import, and the subject's on top of them."""
    _, report = children.run(code_of(module, collector), ["-X", "importtime"])
    airflow, mark, subject = report.partition(MARK)
    if not mark:
        sys.exit("import_cost: a report of -X importtime without our mark")
    return _self_times(airflow), _self_times(subject)


def _self_times(report: str) -> float:
    fields = [line.removeprefix("import time:").split("|") for line in report.splitlines() if "|" in line]
    return sum(int(own) for own, _, _ in fields if own.strip().isdecimal()) / 1000


def loaded(children: Children, module: str) -> tuple[int, int, int]:
    """Return how many modules the subject loads of its own provider, of Airflow's, and of others."""
    family = ".".join(module.split(".")[: 3 if module.startswith("airflow.") else 1])
    code = f"""
import json, sys
{AIRFLOW}
before = set(sys.modules)
import {module}
print(json.dumps([name for name in sys.modules if name not in before]))
"""
    new = json.loads(children.run(code)[0].splitlines()[-1])
    own = [name for name in new if name == family or name.startswith(f"{family}.")]
    airflow = [name for name in new if name.partition(".")[0] == "airflow" and name not in own]
    return len(own), len(airflow), len(new) - len(own) - len(airflow)


def counter(children: Children) -> tuple[str, Callable[[str], float]] | None:
    """Return what counts instructions on this machine, and the function that does; None if nothing does."""
    report = FOLDER / "counted"
    if shutil.which("perf"):
        under = ["perf", "stat", "-x", ",", "-e", "instructions:u", "-o", str(report)]

        def by_perf(code: str) -> float:
            children.run(code, under=under)
            return float(
                next(line for line in report.read_text().splitlines() if "instructions" in line).split(",")[0]
            )

        probe = subprocess.run([*under, "true"], capture_output=True)
        # Virtual machines often have no counters, and say so in place of the number.
        if not probe.returncode and not any(word in report.read_text() for word in ("<not", "denied")):
            return "perf", by_perf
    if shutil.which("valgrind"):
        under = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]

        def by_valgrind(code: str) -> float:
            line = children.run(code, under=under)[1].strip().splitlines()[-1]
            return float(line.rpartition(":")[2].replace(",", ""))

        return "valgrind", by_valgrind
    return None


def spread(values: Figures, form: str) -> str:
    """Return the median, with the least and the greatest."""
    median, least, most = statistics.median(values), min(values), max(values)
    return f"{median:{form}} ({least:{form}}-{most:{form}})"


def environment() -> Path:
    """Return the interpreter of an environment with Airflow, this package and the peers; made once."""
    venv = FOLDER / "venv"
    python, stamp = venv / "bin" / "python", venv / "made-from"
    pins = "\n".join([*PEERS, sys.version, str(ROOT), bootstrap.CONSTRAINTS.read_text()])
    if not stamp.is_file() or stamp.read_text() != pins:
        FOLDER.mkdir(parents=True, exist_ok=True)
        bootstrap.create(venv)
        bootstrap.install(
            venv, ["--editable", str(ROOT), *PEERS], purpose="Airflow and the peers into build/import-cost"
        )
        stamp.write_text(pins)
    return python


def measure(children: Children, names: dict[str, str], rounds: int, instructions: bool) -> float:
    """Measure, print, and return the ratio that counts for our sensor."""
    for module in names.values():  # compiles
        children.run(code_of(module))
    ratios: dict[str, list[float]] = {name: [] for name in names}
    added: dict[str, list[float]] = {name: [] for name in names}
    collected: dict[str, list[float]] = {name: [] for name in names}
    alone: list[float] = []
    for number in range(rounds):
        print(f"time: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        for name, module in names.items():
            airflow, subject = importtime(children, module, collector=False)
            ratios[name].append((airflow + subject) / airflow)
            added[name].append(subject)
            alone.append(airflow)
            airflow, subject = importtime(children, module, collector=True)
            collected[name].append((airflow + subject) / airflow)
    print(f"Airflow alone: {spread(alone, '.0f')} ms; {rounds} rounds, median (least-greatest)\n")
    print("| import | time ratio | added ms | with collector | modules: own, Airflow's, others' |")
    print("| --- | --- | --- | --- | --- |")
    for name, module in names.items():
        own, airflows, others = loaded(children, module)
        print(
            f"| {name} | {spread(ratios[name], '.3f')} | {spread(added[name], '.1f')} "
            f"| {spread(collected[name], '.3f')} | {own}, {airflows}, {others} |"
        )
    verdict = statistics.median(ratios["BatchJobSensor"])
    if instructions and (found := counter(children)):
        sensors = {name: module for name, module in names.items() if ".sensors." in module}
        verdict = measure_instructions(*found, sensors)
    elif instructions:
        print("\nNeither perf nor valgrind counts instructions here.")
    return verdict


def measure_instructions(tool: str, count: Callable[[str], float], names: dict[str, str]) -> float:
    """Count, print, and return our sensor's ratio. Counts vary by some 0.1 %: two rounds show by how much."""
    ratios: dict[str, list[float]] = {name: [] for name in names}
    added: dict[str, list[float]] = {name: [] for name in names}
    for number in range(2):
        print(f"instructions: round {number + 1} of 2", file=sys.stderr, flush=True)
        empty = count("")
        airflow = count(code_of(None)) - empty
        for name, module in names.items():
            both = count(code_of(module)) - empty
            ratios[name].append(both / airflow)
            added[name].append((both - airflow) / 1e6)
    print(f"\nInstructions, by {tool}; 2 rounds, mean (least-greatest)\n")
    print("| import | instructions ratio | added, millions |")
    print("| --- | --- | --- |")
    for name in names:
        print(f"| {name} | {spread(ratios[name], '.4f')} | {spread(added[name], '.0f')} |")
    return statistics.median(ratios["BatchJobSensor"])


def main() -> None:
    """Measure, print, and end with 1 if our sensor costs more than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--no-peers", action="store_true", help="measure this environment, without peers")
    parser.add_argument("--no-instructions", action="store_true", help="time only, which is much sooner done")
    parser.add_argument("--rounds", type=int, default=5, help="of the time (default 5)")
    arguments = parser.parse_args()
    try:
        python = Path(sys.executable) if arguments.no_peers else environment()
    except bootstrap.SetupError as error:
        sys.exit(f"import_cost: {error}.")
    ratio = measure(
        Children(python), subjects(not arguments.no_peers), arguments.rounds, not arguments.no_instructions
    )
    print(f"\nBatchJobSensor: {ratio:.4f} times Airflow alone; it may be {BAR}")
    sys.exit(ratio > BAR)


if __name__ == "__main__":
    main()
