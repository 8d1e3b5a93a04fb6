"""Names of files: the vendor's, made harmless, and one for each job."""

from __future__ import annotations

import os
import re
from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_jobstatus.files.naming import MAX_NAME, file_name, is_name_of_job, name_for_job


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="failures.csv"', "failures.csv"),
        ("attachment; filename=failures.csv", "failures.csv"),
        ("ATTACHMENT; FILENAME=failures.csv; size=3", "failures.csv"),
        ('attachment; filename="my failures (2).csv"', "my failures (2).csv"),
        ('attachment; filename="a;b.csv"', "a_b.csv"),
        ('attachment; filename="a\\"b;c.csv"', "a_b_c.csv"),
        ('attachment; filename="x; filename=y.csv"', "x_ filename=y.csv"),
        ('attachment; filename="C:\\\\exports\\\\june.csv"', "june.csv"),
        ('attachment; filename="june {}.csv"', "june __.csv"),
        ("attachment; filename={}.csv", "__.csv"),
        ("attachment; filename=all june.csv; size=9", "all june.csv"),
        ("attachment;filename = june.csv", "june.csv"),
        ("filename=june.csv", "june.csv"),
        ('attachment; size=9; filename="june', "june"),
        ("", "default.csv"),
        ("attachment", "default.csv"),
        ('attachment; filename=""', "default.csv"),
        ('attachment; filename=".."', "default.csv"),
        ('attachment; filename="/"', "default.csv"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="..%2F..%2Fetc%2Fpasswd"', "passwd"),
        ('attachment; filename="..\\..\\boot.ini"', "boot.ini"),
        ('attachment; filename="/etc/cron.d/job"', "job"),
        ('attachment; filename=".bashrc"', "bashrc"),
        ('attachment; filename="a\x00b\r\nc.csv"', "a b c.csv"),
        ('attachment; filename="a%00b.csv"', "a b.csv"),
        ('attachment; filename="$(rm -rf x)`y`.csv"', "_(rm -rf x)_y_.csv"),
        ('attachment; filename="gr\u00fc\u00dfe\u202ecsv.exe"', "gr__e csv.exe"),
        ("attachment; filename*=UTF-8''failures.csv", "failures.csv"),
        ("attachment; filename=old.csv; filename*=UTF-8''new.csv", "new.csv"),
        ("attachment; FILENAME*=utf-8'de'new%20one.csv; filename=old.csv", "new one.csv"),
        ("attachment; filename*=iso-8859-1''caf%E9.csv", "caf_.csv"),
        ("attachment; filename*=\"UTF-8''new.csv\"", "new.csv"),
        ("attachment; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("attachment; filename*=UTF-8''%FF.csv; filename=old.csv", "old.csv"),
        ("attachment; filename*=klingon''new.csv; filename=old.csv", "old.csv"),
        ("attachment; filename*=new.csv; filename=old.csv", "old.csv"),
        ("attachment; filename*=UTF-8''; filename=old.csv", "old.csv"),
        ("attachment; xfilename=x.csv", "default.csv"),
        ('attachment; note="filename=x.csv"', "default.csv"),
        ('attachment; filename="' + "n" * 300 + '.csv"', "n" * 146 + ".csv"),
        ('attachment; filename="' + "n" * 300 + '.csv.gz"', "n" * 143 + ".csv.gz"),
    ],
)
def test_the_name_that_a_server_gives_is_a_hint_made_harmless(header: str, name: str) -> None:
    assert file_name(header, "default.csv") == name


@settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=300).map('attachment; filename="{}"'.format) | st.text(max_size=100))
def test_no_name_leaves_the_folder_or_is_too_long(header: str) -> None:
    name = file_name(header, "default.csv")
    assert name == os.path.basename(name)
    assert name not in ("", ".", "..")
    assert not name.startswith(".")
    assert len(name.encode()) <= 150
    assert name.isprintable()


@pytest.mark.parametrize(
    ("name", "job", "expected"),
    [
        ("rejected.csv", "north/7", "rejected-north--7.csv"),
        ("rejected.csv.gz", "north/7", "rejected-north--7.csv.gz"),
        ("rejected 2026.11.csv", "north/7", "rejected 2026.11-north--7.csv"),
        ("rejected", "north/7", "rejected-north--7"),
        ("rejected-north--7.csv", "north/7", "rejected-north--7--north--7.csv"),
        ("rejected-7.csv", "north/7", "rejected-7--north--7.csv"),
        ("north-3f2a9c1b7d204e55.csv", "north/3f2a9c1b7d204e55", "north-3f2a9c1b7d204e55.csv"),
        ("upload-3f2a9c1b7d204e55.csv", "3f2a9c1b7d204e55", "upload-3f2a9c1b7d204e55.csv"),
    ],
)
def test_a_name_is_told_from_another_jobs_by_its_job(name: str, job: str, expected: str) -> None:
    assert name_for_job(name, job) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("calls_0f9c41d7a2b84e63.csv", "calls_0f9c41d7a2b84e63.csv"),
        ("agents of calls-0f9c41d7a2b84e63.csv", "agents of calls-0f9c41d7a2b84e63.csv"),
        ("0f9c41d7a2b84e63.csv", "0f9c41d7a2b84e63-calls--0f9c41d7a2b84e63.csv"),
        ("recalls-0f9c41d7a2b84e63.csv", "recalls-0f9c41d7a2b84e63--calls--0f9c41d7a2b84e63.csv"),
        ("0f9c41d7a2b84e63-calls.csv", "0f9c41d7a2b84e63-calls--calls--0f9c41d7a2b84e63.csv"),
        ("x0f9c41d7a2b84e63.csv", "x0f9c41d7a2b84e63-calls--0f9c41d7a2b84e63.csv"),
        ("0f9c41d7a2b84e63-agents.csv", "0f9c41d7a2b84e63-agents--calls--0f9c41d7a2b84e63.csv"),
        ("agents-0f9c.csv", "agents-0f9c--calls--0f9c41d7a2b84e63.csv"),
    ],
)
def test_a_name_stays_that_carries_all_of_an_id_the_long_part_last(name: str, expected: str) -> None:
    assert name_for_job(name, "calls/0f9c41d7a2b84e63") == expected


@pytest.mark.parametrize("name", ["7", "agents-7.csv", "agents_2026-02-07.csv", "x-north--7.csv"])
def test_a_name_that_ends_in_a_short_id_may_be_another_jobs(name: str) -> None:
    jobs = ["north/7", "south/7", "x-north/7", "north/07", "north/02-07", "north/2026-02-07"]
    assert len({name_for_job(name, job) for job in jobs}) == len(jobs)


@pytest.mark.parametrize(
    "name", ["upload-2026-000000000042.csv", "2026-000000000042", "x_2026-000000000042.csv"]
)
def test_what_each_site_counts_for_itself_tells_no_two_jobs_apart(name: str) -> None:
    jobs = [f"{site}/2026-000000000042" for site in ("north", "south", "x")]
    assert len({name_for_job(name, job) for job in jobs}) == len(jobs)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("rejected.csv", "south-north/7"), ("rejected-south.csv", "north/7")),
        (("a.csv", "b-c-d/7"), ("a-b-c.csv", "d/7")),
        (("a-b.csv", "c-d/7"), ("a-b-c.csv", "d/7")),
        (("a--b.csv", "c/7"), ("a.csv", "b--c/7")),
        (("a-.csv", "c/7"), ("a.csv", "-c/7")),
    ],
)
def test_a_part_of_an_id_is_not_taken_for_a_part_of_a_name(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    assert name_for_job(*one) != name_for_job(*other)


ALIKE = [
    "north/7",
    "south/7",
    "north/8",
    "North/7",
    "north/7a",
    "north/7A",
    "north-7/1",
    "north/7-1",
    "north--7/1",
    "north/7--1",
    "north/a:b",
    "north/a;b",
    "north/a%3Ab",
    "north/.",
    "north/-",
    "north/CON",
    "north/" + "7" * 200,
    "north/" + "7" * 201,
    "north/" + "7" * 400 + "x",
]


@pytest.mark.parametrize("name", ["rejected.csv", "r" * 200 + ".csv.gz", "north--7.csv", "a-7.csv", "7"])
def test_no_two_jobs_share_a_name_even_where_capitals_do_not_count(name: str) -> None:
    given_name = file_name(f"attachment; filename={name}", "default.csv")
    names = {job: name_for_job(given_name, job) for job in ALIKE}
    for one, other in combinations(ALIKE, 2):
        assert names[one].lower() != names[other].lower(), (one, other)
    for job, its in names.items():
        assert its == name_for_job(given_name, job)
        assert re.fullmatch(r"[A-Za-z0-9._ ()+=@-]+", its)
        assert len(its) <= MAX_NAME


IDS = st.sampled_from(
    ["calls/0f9c", "my-calls/0f9c", "calls/9c", "calls/-9c", "Calls/0F9C", "a/" + "0f" * 10]
)


@given(
    stem=st.sampled_from(
        ["report", "report-my", "0f9c", "a_" + "0f" * 10, "report-calls--0f9c", "Ü", "x" * 140]
    ),
    extension=st.sampled_from(["", ".csv", ".json.gz"]),
    job=IDS,
    other=IDS,
)
def test_a_name_is_known_for_that_of_its_job_alone(stem: str, extension: str, job: str, other: str) -> None:
    name = name_for_job(file_name("", stem + extension), job)
    assert is_name_of_job(name, job)
    assert is_name_of_job(name, other) is (job == other)
