"""Status words that are not known."""

from __future__ import annotations

import json

import pytest

from airflow_provider_jobstatus.core.jobs import JobState, JobStatus
from airflow_provider_jobstatus.waiting.unknown_words import MAX_SHAPES, is_new, shape
from tests.waiting.test_poller import EARLY, poller


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Sent 4 of 120", "Sent 119 of 120"),
        ("Sending (3/2000)", "Sending (1,999/2000)"),
        ("12.5 % delivered", "99 % delivered"),
        ("Queued at node-7", "queued at node-12"),
        ("Batch 3f9a1c running", "Batch 0bb7d2 running"),
        ("Waiting until 2027-01-02 10:00", "Waiting until 2027-01-03T04:30:00+01:00"),
        ("Retry ٣ of 5", "Retry ٤ of 5"),
    ],
)
def test_a_word_that_counts_is_one_word(one: str, other: str) -> None:
    assert shape(one) == shape(other)


@pytest.mark.parametrize(("one", "other"), [("Sending 1", "Paused 1"), ("On hold", "Rejected"), ("7", "x")])
def test_words_that_say_something_else_are_told_apart(one: str, other: str) -> None:
    assert shape(one) != shape(other)


def unknown(word: str) -> JobStatus:
    return JobStatus("a", "vendor", JobState.RUNNING, word, known=False)


def test_a_long_wait_warns_of_a_counting_word_once_and_remembers_little() -> None:
    one = poller(memory={"looked": True})
    news = [one.observe(unknown(f"Mailing {n} of 5000 by host{n % 7}"), EARLY + n) for n in range(3000)]
    assert [each.kind for each in news if each and each.warning] == ["unknown word"]
    assert len(json.dumps(one.memory())) < 200
    later = poller(memory=json.loads(json.dumps(one.memory())))
    heard = later.observe(unknown("Mailing 4999 of 5000 by host2"), EARLY + 3000)
    assert heard is None or not heard.warning


def test_words_without_end_are_logged_a_few_times() -> None:
    shapes: list[str] = []
    letters = [chr(ord("a") + n % 26) * (n // 26 + 1) for n in range(1000)]
    assert sum(is_new(word, shapes) for word in letters) == len(shapes) == MAX_SHAPES
