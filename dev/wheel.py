"""Builds the wheel and looks at what is in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from dev import bootstrap

_PACKAGE = "airflow_provider_jobstatus"


class WheelError(Exception):
    """There is no wheel, or none that may be published; the message is for a person."""


def build(folder: Path) -> Path:
    """Build the wheel with what the running environment has, and return its path.

    :param folder: where to put it; emptied before
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=bootstrap.ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wheels = list(folder.glob("*.whl"))
    if built.returncode or len(wheels) != 1:
        raise WheelError(f"the build made {len(wheels)} wheels:\n{built.stdout}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        names = wheel.namelist()
    strangers = [name for name in names if not name.startswith((f"{_PACKAGE}/", f"{_PACKAGE}-"))]
    if strangers or f"{_PACKAGE}/py.typed" not in names:
        raise WheelError(f"the wheel lacks py.typed or holds what is not the package: {strangers}")
    return wheels[0]
