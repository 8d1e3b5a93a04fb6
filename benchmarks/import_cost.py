"""
What a DAG file pays for importing a sensor, over what Airflow itself costs it.

    python -m benchmarks.import_cost

Each figure comes from fresh processes. A process imports what the DAG file of any sensor imports of Airflow,
then the subject; the ratio is both together over Airflow alone, by the self times of ``-X importtime``.

Airflow loads under the garbage collector as usual; then it is switched off, because a full collection over
Airflow's objects, longer than any of these imports, falls on whoever makes the next few hundred objects.

Measured in the environment of the benchmarks; with ``--no-peer`` in the one that runs this.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import environment
from dev import bootstrap

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "import-cost"
#: What our sensor takes from Airflow, and every sensor's DAG file with it.
AIRFLOW = "from airflow.providers.common.compat.sdk import BaseOperator, BaseSensorOperator, conf"
OURS = "airflow_provider_jobstatus"
SENSOR = f"{OURS}.sensors.batch_job"
PEER = {"HttpSensor": "airflow.providers.http.sensors.http"}
#: Most that our sensor may cost, as a ratio.
BAR = 1.05
MARK = "-- Airflow is loaded --"


def subjects(peer: bool) -> dict[str, str]:
    """Return what is measured: a name for a person to its module."""
    operators = {
        f"operators.{path.stem}": f"{OURS}.operators.{path.stem}"
        for path in sorted((ROOT / OURS / "operators").glob("*.py"))
        # Each vendor's operators have the name of its hook.
        if (ROOT / OURS / "hooks" / path.stem).is_dir()
    }
    return {"BatchJobSensor": SENSOR, **(PEER if peer else {}), **operators}


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

    def run(self, code: str, options: Sequence[str] = ()) -> tuple[str, str]:
        """Run ``code`` and return what it wrote to stdout and to stderr."""
        command = [str(self._python), *options, "-c", code]
        done = subprocess.run(command, env=self._env, cwd=FOLDER, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"import_cost: a process ended with exit code {done.returncode}:\n{done.stderr[-2000:]}")
        return done.stdout, done.stderr


def code_of(module: str) -> str:
    """Return what a process runs: Airflow's part, and then the subject's."""
    mark = f"print('{MARK}', file=sys.stderr, flush=True)"
    return f"import sys\n{AIRFLOW}\nimport gc; gc.disable()\n{mark}\nimport {module}\n"


def importtime(children: Children, module: str) -> tuple[float, float]:
    """Return the milliseconds that Airflow's modules took to import, and the subject's on top of them."""
    _, report = children.run(code_of(module), ["-X", "importtime"])
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


def spread(values: Sequence[float], form: str) -> str:
    """Return the median, with the least and the greatest."""
    median, least, most = statistics.median(values), min(values), max(values)
    return f"{median:{form}} ({least:{form}}-{most:{form}})"


def measure(children: Children, names: dict[str, str], rounds: int) -> float:
    """Measure, print, and return the ratio that counts for our sensor."""
    for module in names.values():  # compiles
        children.run(code_of(module))
    ratios: dict[str, list[float]] = {name: [] for name in names}
    added: dict[str, list[float]] = {name: [] for name in names}
    alone: list[float] = []
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        for name, module in names.items():
            airflow, subject = importtime(children, module)
            ratios[name].append((airflow + subject) / airflow)
            added[name].append(subject)
            alone.append(airflow)
    print(f"Airflow alone: {spread(alone, '.0f')} ms; {rounds} rounds, median (least-greatest)\n")
    print("| import | time ratio | added ms | modules: own, Airflow's, others' |")
    print("| --- | --- | --- | --- |")
    for name, module in names.items():
        own, airflows, others = loaded(children, module)
        print(
            f"| {name} | {spread(ratios[name], '.3f')} | {spread(added[name], '.1f')} "
            f"| {own}, {airflows}, {others} |"
        )
    return statistics.median(ratios["BatchJobSensor"])


def main() -> None:
    """Measure, print, and end with 1 if our sensor costs more than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--no-peer", action="store_true", help="measure this environment, without HttpSensor")
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    arguments = parser.parse_args()
    try:
        python = Path(sys.executable) if arguments.no_peer else environment.ensure()
    except bootstrap.SetupError as error:
        sys.exit(f"import_cost: {error}.")
    ratio = measure(Children(python), subjects(not arguments.no_peer), arguments.rounds)
    print(f"\nBatchJobSensor: {ratio:.4f} times Airflow alone; it may be {BAR}")
    sys.exit(ratio > BAR)


if __name__ == "__main__":
    main()
