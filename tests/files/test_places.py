"""Where a destination lies, by its text."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.files.places import destination_text, local_path, scheme_of, uri_caveat


@pytest.mark.parametrize(
    ("destination", "path"),
    [
        ("/lake/june.csv", "/lake/june.csv"),
        ("lake/june.csv", "lake/june.csv"),
        ("a://b", None),
        ("lake/a://b", "lake/a://b"),
        ("~/june.csv", "~/june.csv"),
        ("/lake/~/june.csv", "/lake/~/june.csv"),
        ("/lake/{}/{june}.csv", "/lake/{}/{june}.csv"),
        ("/lake/100%/5$.csv", "/lake/100%/5$.csv"),
        ("file:///lake/june.csv", "/lake/june.csv"),
        ("FILE:///lake/june.csv", "/lake/june.csv"),
        ("local:///lake/june.csv", "/lake/june.csv"),
        ("file://localhost/lake/june.csv", "/lake/june.csv"),
        ("file://LocalHost/lake/", "/lake/"),
        ("file://conn@/lake/june.csv", "/lake/june.csv"),
        ("file://conn@localhost/lake/june.csv", "/lake/june.csv"),
        ("file://~/june.csv", "~/june.csv"),
        ("file://~anna/june.csv", "~anna/june.csv"),
        ("file:///~/june.csv", "/~/june.csv"),
        ("file:///lake/a%20b?c=d#e.csv", "/lake/a%20b?c=d#e.csv"),
        ("s3://lake/$HOME/june.csv", None),
        ("S3://lake/june.csv", None),
        ("simplecache::s3://lake/june.csv", None),
        ("sftp://me@host:22/june.csv", None),
        ("./None", "./None"),
        ("/lake/None/june.csv", "/lake/None/june.csv"),
        ("nonesuch/june.csv", "nonesuch/june.csv"),
        ("null.csv", "null.csv"),
        ("june:1.csv", "june:1.csv"),
        ("/lake/{june}/<june>.csv", "/lake/{june}/<june>.csv"),
        ("/lake/june {1} #2 { 3.csv", "/lake/june {1} #2 { 3.csv"),
        ("/lake/o'neil/a'b.csv", "/lake/o'neil/a'b.csv"),
    ],
)
def test_a_local_destination_is_its_path_and_one_in_a_storage_is_none(
    destination: str, path: str | None
) -> None:
    assert local_path(destination) == path


@pytest.mark.parametrize("path", ["/lake/june.csv", "/lake/a%20b.csv", "/lake/a?b#c.csv", "~/x", "/{}/x"])
def test_a_local_uri_is_read_as_airflow_reads_it(path: str) -> None:
    uri = f"file://{path}"
    read = local_path(uri)
    assert read is not None
    assert str(Path(read).expanduser()) == ObjectStoragePath(uri).path


@pytest.mark.parametrize(
    ("destination", "problem"),
    [
        ("$HOME/june.csv", "$HOME"),
        ("${HOME}/june.csv", "${HOME}"),
        ("/lake/$USER/june.csv", "$USER"),
        ("/lake/june-${DAY:-1}.csv", "${DAY:-1}"),
        ("file:///lake/$LAKE/june.csv", "$LAKE"),
        ("%USERPROFILE%/june.csv", "%USERPROFILE%"),
        ("file://lake/june.csv", "the machine 'lake'"),
        ("file://nas.example/lake/june.csv", "the machine 'nas.example'"),
        ("file://localhost:80/lake/june.csv", "the machine 'localhost:80'"),
        ("file://./june.csv", "the machine '.'"),
        ("None", "what a template makes of nothing"),
        ("null", "what a template makes of nothing"),
        ("none/june.csv", "what a template makes of nothing"),
        ("undefined/", "what a template makes of nothing"),
        ("'s3://lake/june.csv'", "stands in quotes"),
        ('"/lake/june.csv"', "stands in quotes"),
        ("/lake/june.csv'", "stands in quotes"),
        ("dbfs:/june.csv", "a word and a colon"),
        ("C:/lake/june.csv", "a word and a colon"),
        ("C:\\lake\\june.csv", "has a backslash"),
        ("\\\\nas\\june.csv", "has a backslash"),
        ("lake\\june.csv", "has a backslash"),
        ("{{ lake }}/june.csv", "a template that was not rendered"),
        ("/lake/{{ ds", "a template that was not rendered"),
        ("s3://{{ lake }}/june.csv", "a template that was not rendered"),
        ("s3://lake/{% if x %}", "a template that was not rendered"),
        *(
            (f"{lake}june-{day}.csv", "a template that was not rendered")
            for lake in ("/lake/", "s3://lake/")
            for day in ("{ data_interval_end }", "$(date +%d)", "`date`", "<StrictUndefined>", "#{day}")
        ),
    ],
)
def test_what_would_become_a_folder_of_an_odd_name_is_refused(destination: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        local_path(destination)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("destination", "escape"),
    [
        ("file:///lake/a%20b.csv", "%20"),
        ("FILE:///lake/k%c3%a4se.csv", "%c3"),
        ("/lake/a%20b.csv", None),
        ("s3://lake/a%20b.csv", None),
        ("file:///lake/100%.csv", None),
    ],
)
def test_an_escape_in_a_local_uri_is_worth_a_warning(destination: str, escape: str | None) -> None:
    caveat = uri_caveat(destination)
    assert (caveat is None) == (escape is None)
    assert escape is None or f"{escape} is taken as these three characters" in str(caveat)


@pytest.mark.parametrize(
    ("destination", "text"),
    [
        ("s3://lake/june.csv", "s3://lake/june.csv"),
        (" s3://lake/june.csv\n", "s3://lake/june.csv"),
        ("\t/lake/june 1.csv ", "/lake/june 1.csv"),
        (Path("/lake/june.csv"), "/lake/june.csv"),
        (PurePosixPath("june.csv"), "june.csv"),
        (ObjectStoragePath("file:///lake/june.csv"), "file:///lake/june.csv"),
        (ObjectStoragePath("/lake/june.csv"), "/lake/june.csv"),
        (b"/lake/june.csv", None),
        (None, None),
        (5, None),
        (["/lake/june.csv"], None),
        (object(), None),
    ],
)
def test_a_destination_is_text_or_the_object_of_a_path(destination: object, text: str | None) -> None:
    assert destination_text(destination) == text


def test_an_object_of_airflow_keeps_its_connection() -> None:
    path = ObjectStoragePath("file:///lake/june.csv", conn_id="mine")
    assert destination_text(path) == "file://mine@/lake/june.csv"
    assert local_path("file://mine@/lake/june.csv") == "/lake/june.csv"


def test_a_scheme_is_in_lower_case() -> None:
    assert (scheme_of("S3://lake"), scheme_of("/lake://x"), scheme_of("lake")) == ("s3", "", "")
