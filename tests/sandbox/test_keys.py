"""Every key of the admin API is named by a mistyped one's message, and stands on the page of the sandbox."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from airflow_provider_jobstatus.sandbox import JobView, RequestView, Sandbox

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()
KEYS = PAGE[PAGE.index("<!-- keys") : PAGE.index("## Limits")]
IDS = {
    "Ruler job": ("ruler", "s/j"),
    "Talkdesk job": ("talkdesk", "calls/j"),
    "Aftercare coding job": ("aftercare", "j"),
    "Aftercare data-quality job": ("aftercare", "data-quality/j"),
    "QuestionPro job": ("questionpro", "7"),
}


def documented(title: str) -> set[str]:
    """Return the keys in a list of the page: those that its lines begin with."""
    _, _, rest = KEYS.partition(f"\n{title}")
    lines = [line for line in rest.split("\n\n")[1].splitlines() if line.startswith("- ")]
    heads = [re.sub(r"\([^)]*\)", "", line).partition(":")[0] for line in lines]
    return {key for head in heads for key in re.findall("`([^`]+)`", head)}


def known(give: Callable[..., Any], **mistake: Any) -> set[str]:
    """Return the keys that a message names where one is mistyped."""
    with pytest.raises(ValueError, match="unknown key typo; there are ") as caught:
        give(**mistake)
    return set(str(caught.value).rstrip(".").partition("there are ")[2].split(", "))


@pytest.mark.parametrize("title", IDS)
def test_the_keys_of_a_job_are_named_and_documented(title: str) -> None:
    vendor, job_id = IDS[title]
    keys = known(lambda **spec: Sandbox().put_job(vendor, job_id, **spec), typo=1)
    assert keys == documented(title) | documented("Every job")


@pytest.mark.parametrize("vendor", ["Ruler", "Talkdesk", "Aftercare", "QuestionPro"])
def test_the_keys_of_settings_are_named_and_documented(vendor: str) -> None:
    keys = known(lambda **changes: Sandbox().change_settings(vendor.lower(), **changes), typo=1)
    assert keys == documented(f"{vendor} settings")


def test_the_keys_of_a_scripted_answer_are_named_and_documented() -> None:
    keys = known(lambda entry: Sandbox().put_answers("/v1/x", [entry]), entry={"typo": 1})
    assert keys == documented("An answer of a script")
    keys = known(lambda entry: Sandbox().put_job("questionpro", "7", script=[entry]), entry={"typo": 1})
    assert {"status", "surveyID"} | documented("An answer of a script") <= keys


def test_what_was_asked_and_what_there_is_have_types_that_can_be_imported() -> None:
    assert get_type_hints(Sandbox.requests.fget)["return"] == list[RequestView]
    assert get_type_hints(Sandbox.jobs)["return"] == list[JobView]
    shape = RequestView.__annotations__.keys()
    assert all(f"`{key}`" in PAGE for key in shape)
