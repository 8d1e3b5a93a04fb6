"""Builds the wheel, installs it into an empty environment and sees whether Airflow takes it silently."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.real_airflow import bootstrap

FOLDER = bootstrap.ROOT / "build" / "wheel"
DISTRIBUTION = "airflow-provider-jobstatus"
_IMPORT_EVERYTHING = """
import importlib, pkgutil, sys
import airflow_provider_jobstatus as package
if not package.__file__.startswith(sys.prefix):
    sys.exit(f"imported from {package.__file__}, not from the wheel")
for module in pkgutil.walk_packages(package.__path__, "airflow_provider_jobstatus."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


def main() -> None:
    """Build, install, look; ends with a sentence on what is wrong."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    built = _run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(FOLDER)]
    )
    wheels = list(FOLDER.glob("*.whl"))
    if len(wheels) != 1:
        sys.exit(f"make check: the build made {len(wheels)} wheels:\n{built}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        strangers = [
            name
            for name in wheel.namelist()
            if not name.startswith(("airflow_provider_jobstatus/", "airflow_provider_jobstatus-"))
        ]
        if strangers or "airflow_provider_jobstatus/py.typed" not in wheel.namelist():
            sys.exit(f"make check: the wheel lacks py.typed or holds what is not the package: {strangers}")
    venv = FOLDER / "venv"
    bootstrap.create(venv)
    bootstrap.install(venv, [str(wheels[0])], purpose=f"{wheels[0].name} into an empty environment")
    python = str(venv / "bin" / "python")
    # Not from the checkout, where the source would be found in place of the wheel.
    _run(
        [python, "-I", "-W", "error::DeprecationWarning:airflow_provider_jobstatus", "-c", _IMPORT_EVERYTHING]
    )
    listing = _run([python, "-I", "-m", "airflow", "providers", "list", "--output", "plain"])
    if DISTRIBUTION not in listing:
        sys.exit(f"make check: Airflow does not list {DISTRIBUTION}:\n{listing}")
    complaints = [line for line in listing.splitlines() if "warn" in line.lower() or "error" in line.lower()]
    if complaints:
        sys.exit("make check: Airflow complains about the wheel:\n" + "\n".join(complaints))
    print(f"{wheels[0].name}: installs into an empty environment, and Airflow lists it without a warning")


def _run(command: list[str]) -> str:
    """Run a command that must succeed and return what it wrote."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    env |= {"AIRFLOW_HOME": str(FOLDER / "airflow"), "COLUMNS": "200"}
    cwd: Path = bootstrap.ROOT if "hatchling" in command else FOLDER
    done = subprocess.run(
        command,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        sys.exit(
            f"make check: {' '.join(command[:4])} ended with exit code {done.returncode}:\n{done.stdout}"
        )
    return done.stdout


if __name__ == "__main__":
    main()
