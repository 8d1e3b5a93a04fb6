"""Downloads to a disk and to S3: whole, or not there at all. The S3 is a server on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.exceptions import DestinationError, DownloadIncomplete, NotSubmitted
from airflow_provider_jobstatus.files import remote_file, retry_budget, steps
from airflow_provider_jobstatus.files.destination import writing
from airflow_provider_jobstatus.files.upload_source import UploadFile
from airflow_provider_jobstatus.operators.ruler import RulerDownloadRevenueFailuresOperator
from dev.chaos import breaks, fetching
from tests.support.raw_server import RawServer, Received, reply, reset

MIB = 1024 * 1024
#: The least that S3 takes, so that small bodies have several parts.
PART = 5 * MIB
HEAD = b"row,error\r\n"
ROW = b'4711,"Invalid ""phone"" number"\r\n'
BODY = HEAD + ROW * (12 * MIB // len(ROW))
DIGEST = {"Content-Digest": f"sha-256=:{b64encode(hashlib.sha256(BODY).digest()).decode()}:"}
LENGTH = {"Content-Length": str(len(BODY))}
SECRET = "never-shown-s3-secret"


@dataclass
class Storage:
    """A bucket on a server that speaks S3, or a folder."""

    destination: str
    folder: Path
    client: Any
    bucket: str

    @property
    def on_s3(self) -> bool:
        return self.destination.startswith("s3://")

    def put(self, content: bytes) -> None:
        if self.on_s3:
            self.client.put_object(Bucket=self.bucket, Key="rows.csv", Body=content)
        else:
            (self.folder / "rows.csv").write_bytes(content)

    def held(self) -> dict[str, bytes]:
        """Everything that is there, by name; an upload that is not finished is named after itself."""
        if not self.on_s3:
            return {path.name: path.read_bytes() for path in self.folder.iterdir()}
        listed = self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        objects = {
            item["Key"]: self.client.get_object(Bucket=self.bucket, Key=item["Key"])["Body"].read()
            for item in listed
        }
        return objects | dict.fromkeys(self.unfinished(), b"")

    def unfinished(self) -> list[str]:
        uploads = self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
        return [f"unfinished upload {upload['UploadId']}" for upload in uploads]


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def connect_s3(monkeypatch: pytest.MonkeyPatch, url: str, name: str = "aws_default") -> None:
    """Make the connection that a user makes."""
    extra = {"endpoint_url": url, "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "key-id", "password": SECRET, "extra": extra}
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))


buckets = iter(range(10_000))


@pytest.fixture(params=["disk", "s3"])
def storage(
    request: pytest.FixtureRequest, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Storage:
    """Where a download goes, once a folder and once a bucket."""
    bucket = f"lake-{next(buckets)}"
    connect_s3(monkeypatch, s3_url)
    client = boto3.client(
        "s3",
        endpoint_url=s3_url,
        region_name="us-east-1",
        aws_access_key_id="key-id",
        aws_secret_access_key=SECRET,
    )
    client.create_bucket(Bucket=bucket)
    folder = tmp_path / "data"
    folder.mkdir()
    where = f"s3://aws_default@{bucket}/rows.csv" if request.param == "s3" else str(folder / "rows.csv")
    return Storage(where, folder, client, bucket)


@pytest.fixture(autouse=True)
def _one_try_and_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry_budget, "MAX_TRIES", 1)
    monkeypatch.setattr(remote_file, "PART_BYTES", PART)


@dataclass
class Vendor:
    """
    Serves a job and its rejected rows.

    :ivar headers: of the rows.
    :ivar body: what is sent of them.
    :ivar end: what comes then: ``"open"``, ``"close"``, ``"reset"`` or ``"stall"``.
    """

    headers: dict[str, str] = field(default_factory=lambda: dict(LENGTH))
    body: bytes = BODY
    end: str = "close"
    sent: threading.Event = field(default_factory=threading.Event)
    server: RawServer | None = None

    def handle(self, received: Received, connection: socket.socket) -> None:
        if "/status" in received.target:
            status = json.dumps({"status": "partialcomplete", "jobId": "job"}).encode()
            connection.sendall(reply(200, status, {"Content-Type": "application/json"}))
            return
        headers = {"Content-Type": "text/csv", **self.headers}
        connection.sendall(reply(200, b"", headers, length=False) + self.body)
        self.sent.set()
        if self.end == "reset":
            reset(connection)
        elif self.end == "close":
            connection.shutdown(socket.SHUT_WR)
            connection.close()
        elif self.end == "stall":
            assert self.server is not None
            self.server.ended.wait(60)


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    answers = Vendor()
    with RawServer(answers.handle) as server:
        answers.server = server
        extra = {"timeout": 1}
        connection = {"conn_type": "ruler", "host": server.url, "password": "token-1", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_RULER_DEFAULT", json.dumps(connection))
        yield answers


def fetch(storage: Storage, **arguments: Any) -> dict[str, Any]:
    task = RulerDownloadRevenueFailuresOperator(
        task_id="fetch", job_id="site/job", destination=storage.destination, **arguments
    )
    return task.execute({})


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_download_of_several_parts_is_byte_equal_and_verified(
    storage: Storage, vendor: Vendor, before: bytes | None
) -> None:
    vendor.headers |= DIGEST
    if before is not None:
        storage.put(before)
    manifest = fetch(storage)
    assert storage.held() == {"rows.csv": BODY}
    assert manifest["sha256"] == hashlib.sha256(BODY).hexdigest()
    assert (manifest["bytes"], manifest["rows"]) == (len(BODY), BODY.count(ROW))
    assert manifest["verified_by"] == "sha256, length"


CUTS = [0, 1, 1000, PART - 1, PART, PART + 1, len(BODY) // 2, 2 * PART, len(BODY) - 1]
BREAKS = {
    **{f"{cut} bytes, then {end}": (LENGTH, BODY[:cut], end) for cut in CUTS for end in ("close", "reset")},
    "a chunk that is cut": ({"Transfer-Encoding": "chunked"}, b"C00000\r\n" + BODY[: 12 * MIB - 9], "close"),
    "no last chunk": ({"Transfer-Encoding": "chunked"}, b"A\r\n0123456789\r\n", "close"),
    "no length": ({}, BODY, "close"),
    "no length, the last byte missing": (DIGEST, BODY[:-1], "close"),
    "no length, one byte too many": (DIGEST, BODY + b"\n", "close"),
    "one byte wrong": (LENGTH | DIGEST, BODY[:-9] + b"X" + BODY[-8:], "close"),
    "silence from the start": (LENGTH, b"", "stall"),
    "silence in the second part": (LENGTH, BODY[: PART + 1], "stall"),
}


@pytest.mark.parametrize("before", [{}, {"rows.csv": b"old"}], ids=["nothing there", "a file there"])
@pytest.mark.parametrize("broken", BREAKS)
def test_a_download_that_breaks_leaves_what_was_there_and_nothing_else(
    storage: Storage, vendor: Vendor, broken: str, before: dict[str, bytes]
) -> None:
    vendor.headers, vendor.body, vendor.end = BREAKS[broken]
    for content in before.values():
        storage.put(content)
    with pytest.raises(DownloadIncomplete):
        fetch(storage)
    assert storage.held() == before


# Workers that are stopped


def stop_in_the_middle(storage: Storage, vendor: Vendor, number: signal.Signals) -> int:
    """Start a worker, stop it while the second part is on its way, and return its exit code."""
    vendor.body, vendor.end = BODY[: 2 * PART - 1], "stall"
    process = fetching.start(fetching.Fetch(storage.destination, PART))
    try:
        assert vendor.sent.wait(60)
        assert process.pid is not None
        os.kill(process.pid, number)
        process.join(60)
        assert process.exitcode is not None
        return process.exitcode
    finally:
        process.kill()


@pytest.fixture
def patient_vendor(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    """A vendor whose silence is borne: what ends a worker is the signal."""
    assert vendor.server is not None
    connection = {"conn_type": "ruler", "host": vendor.server.url, "password": "token-1"}
    monkeypatch.setenv("AIRFLOW_CONN_RULER_DEFAULT", json.dumps(connection))
    return vendor


@pytest.mark.parametrize("before", [{}, {"rows.csv": b"old"}], ids=["nothing there", "a file there"])
def test_a_worker_that_is_killed_leaves_the_old_file_and_a_retry_succeeds(
    storage: Storage, patient_vendor: Vendor, before: dict[str, bytes]
) -> None:
    for content in before.values():
        storage.put(content)
    assert stop_in_the_middle(storage, patient_vendor, signal.SIGKILL) == -signal.SIGKILL
    left = storage.held()
    parts = {name for name in left if name.startswith((".jobstatus-", "unfinished"))}
    assert {name: left[name] for name in left.keys() - parts} == before
    patient_vendor.body, patient_vendor.end = BODY, "close"
    assert fetch(storage)["bytes"] == len(BODY)
    held = storage.held()
    assert held["rows.csv"] == BODY
    assert held.keys() - parts == {"rows.csv"}
    if storage.on_s3:
        return  # a rule of the bucket's life cycle removes them
    (part,) = parts
    os.utime(storage.folder / part, (0, 0))
    fetch(storage)
    assert storage.held() == {"rows.csv": BODY}


def test_a_worker_that_is_told_to_stop_leaves_nothing(storage: Storage, patient_vendor: Vendor) -> None:
    storage.put(b"old")
    assert stop_in_the_middle(storage, patient_vendor, signal.SIGTERM) == breaks.STOPPED
    assert storage.held() == {"rows.csv": b"old"}


@pytest.mark.parametrize("storage", ["s3"], indirect=True)
def test_an_upload_whose_id_has_not_come_yet_is_aborted(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = s3fs.core.S3File._call_s3

    def told_to_stop(file: Any, method: str, *arguments: Any, **options: Any) -> Any:
        answer = call(file, method, *arguments, **options)
        if method == "create_multipart_upload":
            assert len(storage.unfinished()) == 1
            steps.stop(SystemExit())
        return answer

    monkeypatch.setattr(s3fs.core.S3File, "_call_s3", told_to_stop)
    with pytest.raises(SystemExit), writing(storage.destination) as file:
        file.write(BODY)
    assert storage.held() == {}


def test_a_task_that_is_not_at_work_is_not_interrupted(storage: Storage) -> None:
    task = RulerDownloadRevenueFailuresOperator(
        task_id="fetch", job_id="site/job", destination=storage.destination
    )
    task.on_kill()  # as Airflow does after execution_timeout


# Two writers


@pytest.mark.parametrize("size", [0, 1000, PART + 1], ids=["empty", "one part", "two parts"])
@pytest.mark.parametrize("theirs", [b"", b"theirs", BODY], ids=["empty", "small", "large"])
def test_what_another_has_written_meanwhile_stays(storage: Storage, size: int, theirs: bytes) -> None:
    path, said = storage.destination, r"rows\.csv exists already, and if_exists is 'fail'$"
    with pytest.raises(DestinationError, match=said), writing(path, "fail") as file:  # noqa: PT012
        file.write(BODY[:size])
        storage.put(theirs)
    assert storage.held() == {"rows.csv": theirs}


@pytest.mark.parametrize("size", [0, 1000, PART + 1], ids=["empty", "one part", "two parts"])
@pytest.mark.parametrize("storage", ["s3"], indirect=True)
def test_s3_itself_refuses_what_appears_after_the_last_look(
    storage: Storage, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = s3fs.S3FileSystem.exists

    def looks_and_then_it_appears(*arguments: Any) -> bool:
        there: bool = looked(*arguments)
        if (looks := looks_and_then_it_appears.__dict__).setdefault("made", 0):
            storage.put(b"theirs")
        looks["made"] += 1
        return there

    monkeypatch.setattr(s3fs.S3FileSystem, "exists", looks_and_then_it_appears)
    with (
        pytest.raises(DestinationError, match=r"rows\.csv exists already, and if_exists is 'fail'$"),
        writing(storage.destination, "fail") as file,
    ):
        file.write(BODY[:size])
    assert storage.held() == {"rows.csv": b"theirs"}


@pytest.mark.parametrize("size", [0, 1000, PART + 1], ids=["empty", "one part", "two parts"])
def test_what_must_be_new_and_is_arrives_whole(storage: Storage, size: int) -> None:
    with writing(storage.destination, "fail") as file:
        file.write(BODY[:size])
    assert storage.held() == {"rows.csv": BODY[:size]}


# A storage that does not want


@pytest.mark.parametrize("storage", ["s3"], indirect=True)
def test_a_bucket_that_is_not_there_is_named(storage: Storage, vendor: Vendor) -> None:
    storage.destination = "s3://aws_default@no-such-bucket/rows.csv"
    with pytest.raises(DestinationError, match=r"^cannot write s3://aws_default@no-such-bucket/rows\.csv: "):
        fetch(storage)


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("InvalidAccessKeyId", 403, "PermissionError: The reason"),
        ("SignatureDoesNotMatch", 403, "PermissionError: The reason"),
        ("SlowDown", 503, "OSError: The reason"),
    ],
)
def test_a_storage_that_refuses_is_one_sentence_with_its_reason_and_without_secrets(
    monkeypatch: pytest.MonkeyPatch, code: str, status: int, said: str
) -> None:
    answer = f"<Error><Code>{code}</Code><Message>The reason</Message></Error>".encode()

    def refuse(_: Received, connection: socket.socket) -> None:
        head = (
            f"HTTP/1.1 {status} .\r\nContent-Type: application/xml\r\nContent-Length: {len(answer)}\r\n\r\n"
        )
        connection.sendall(head.encode() + answer)

    name = f"aws_{code.lower()}"
    with RawServer(refuse) as server:
        connect_s3(monkeypatch, server.url, name)
        monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        with (
            pytest.raises(DestinationError) as caught,
            writing(f"s3://{name}@lake/rows.csv") as file,
        ):
            file.write(b"rows")
    assert str(caught.value) == f"cannot write s3://{name}@lake/rows.csv: {said}"
    assert SECRET not in repr(caught.getrepr(style="long", showlocals=False))


def test_a_storage_that_is_not_there_is_a_destination_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    connect_s3(monkeypatch, f"http://127.0.0.1:{port}", "aws_gone")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with (
        pytest.raises(DestinationError, match=r"^cannot write s3://aws_gone@lake/rows\.csv: Endpoint"),
        writing("s3://aws_gone@lake/rows.csv") as file,
    ):
        file.write(b"rows")


def test_an_upload_whose_end_is_refused_is_aborted(
    storage: Storage, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = "s3fs.core.S3File.commit" if storage.on_s3 else "os.replace"

    def refused(*_: object) -> None:
        raise OSError(16, "Please reduce your request rate")

    monkeypatch.setattr(real, refused)
    with pytest.raises(DestinationError, match="OSError: Please reduce your request rate"):
        fetch(storage)
    assert storage.held() == {}


def test_a_missing_filesystem_is_found_before_the_vendor_is_asked(storage: Storage, vendor: Vendor) -> None:
    storage.destination = "gs://lake/rows.csv"
    with pytest.raises(DestinationError, match=r"pip install 'airflow-provider-jobstatus\[gcs\]'"):
        fetch(storage)
    assert vendor.server is not None
    assert vendor.server.requests == []


@pytest.mark.parametrize("changed", [BODY, BODY[:-1] + b"x", BODY + b"x", BODY[:-PART], None])
def test_a_file_that_is_uploaded_is_the_one_that_was_checked(storage: Storage, changed: bytes | None) -> None:
    with pytest.raises(NotSubmitted, match=r"cannot be read: .*; nothing was sent") as caught:
        list(UploadFile(storage.destination).checked())
    assert SECRET not in str(caught.value)
    storage.put(BODY)
    file = UploadFile(storage.destination)
    assert b"".join(file.checked()) == BODY
    if changed == BODY:
        assert b"".join(file.chunks()) == BODY
        return
    if changed is not None:
        storage.put(changed)
    elif storage.on_s3:
        storage.client.delete_object(Bucket=storage.bucket, Key="rows.csv")
    else:
        (storage.folder / "rows.csv").unlink()
    with pytest.raises(SettingsError if changed else FileNotFoundError):
        list(file.chunks())


def test_a_storage_that_is_not_there_may_be_at_the_next_try(monkeypatch: pytest.MonkeyPatch) -> None:
    connect_s3(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(NotSubmitted, match="cannot be read: EndpointConnectionError; nothing was sent"):
        list(UploadFile("s3://lake/rows.csv").checked())
