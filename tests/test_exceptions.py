"""What a user may have to catch stands in one module."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType

import pytest

from airflow_provider_jobstatus import exceptions
from airflow_provider_jobstatus.core import errors

ROOT = Path(__file__).parent.parent
FOR_USERS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "example_dags").glob("*.py")),
]


def made_in(module: ModuleType) -> dict[str, type[Exception]]:
    return {
        name: kind
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception) and kind.__module__ == module.__name__
    }


def test_one_import_has_all_that_tasks_fail_with_and_all_that_hooks_raise() -> None:
    to_catch = {**made_in(exceptions), **made_in(errors)}

    assert {name: getattr(exceptions, name) for name in exceptions.__all__} == to_catch


@pytest.mark.parametrize("name", sorted(made_in(errors)))
def test_the_module_says_of_each_error_of_a_hook_when_it_is_raised(name: str) -> None:
    assert f"    {name} " in (exceptions.__doc__ or "")


def test_no_page_sends_a_user_to_another_module_for_an_error() -> None:
    assert [page.name for page in FOR_USERS if "core.errors" in page.read_text()] == []
