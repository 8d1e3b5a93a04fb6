"""What counts as a resolver that wanders."""

from __future__ import annotations

from dev import extras

LOG = """\
Collecting boto3>=1.42.93 (from apache-airflow-providers-amazon[s3fs])
  Downloading boto3-1.44.8-py3-none-any.whl.metadata (6.6 kB)
  Downloading boto3-1.44.7-py3-none-any.whl.metadata (6.6 kB)
  Using cached boto3-1.44.7-py3-none-any.whl.metadata (6.6 kB)
Collecting google_genai
  Downloading google_genai-2.1.0-py3-none-any.whl.metadata (53 kB)
  Downloading pygtrie-2.5.0.tar.gz (39 kB)
"""


def test_each_version_that_pip_reads_is_counted_once() -> None:
    assert extras.versions_in(LOG) == {"boto3": 2, "google-genai": 1, "pygtrie": 1}


def test_more_than_two_versions_are_too_many_unless_airflow_alone_takes_them() -> None:
    assert extras.too_many({"s3fs": 3, "fsspec": 2, "cadwyn": 12}, {"cadwyn": 12}) == ["s3fs (3)"]
    assert extras.too_many({"boto3": 20}, {}) == []
    assert extras.too_many({"boto3": 61}, {}) == ["boto3 (61)"]
