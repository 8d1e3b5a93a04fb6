"""What only an installed wheel can show: named by `matrix.py`, as a plain test run has no wheel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import airflow_provider_jobstatus

IMPORT_EVERYTHING = """
import importlib, pkgutil, warnings
import airflow_provider_jobstatus as package
warnings.filterwarnings("error", category=DeprecationWarning, module="airflow_provider_jobstatus")
print(package.__file__)
for module in pkgutil.walk_packages(package.__path__, "airflow_provider_jobstatus."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


def test_these_tests_run_against_the_installed_package() -> None:
    assert Path(airflow_provider_jobstatus.__file__).is_relative_to(Path(sys.prefix) / "lib")


def test_every_module_imports_without_a_deprecation() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", IMPORT_EVERYTHING], capture_output=True, text=True, timeout=300
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == airflow_provider_jobstatus.__file__
