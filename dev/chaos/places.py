"""Where the files of a chaos run go: a disk, an S3, an SFTP server and a memory, and what each holds."""

from __future__ import annotations

import importlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

#: The file that is fetched, and files of others beside it.
NAME = "rows.csv"
THEIRS = {"theirs.csv": b"theirs", ".jobstatus-theirs.part": b"being written"}


class Disk:
    """A folder.

    :ivar uri: of the destination
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = str(folder / NAME)

    def put(self, files: Mapping[str, bytes]) -> None:
        """Hold these files and nothing else."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        for name, content in files.items():
            (self.folder / name).write_bytes(content)

    def held(self) -> dict[str, bytes]:
        """Return all that is there, also what only uses room."""
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}


class Sftp(Disk):
    """A folder of a server that speaks SFTP.

    :ivar server: does what `tests/support/sftp_server.py` says
    """

    def __init__(self, folder: Path, server: Any) -> None:
        super().__init__(folder)
        self.server = server
        self.uri = f"sftp://host/{folder.name}/{NAME}"


class Memory:
    """Lives in the worker, which writes down what it held at its end."""

    uri = f"memory://lake/{NAME}"

    def __init__(self, file: Path) -> None:
        self.file = file
        self.before: bytes | None = None

    def put(self, files: Mapping[str, bytes]) -> None:
        """Hold these files and nothing else, from the worker's beginning on."""
        self.before = files.get(NAME)
        self.file.unlink(missing_ok=True)

    def held(self) -> dict[str, bytes]:
        """Return all that was there."""
        held = {name: bytes.fromhex(content) for name, content in json.loads(self.file.read_text()).items()}
        return held | THEIRS


class S3:
    """A bucket, in which another writer's upload is under way for the same name."""

    bucket = "lake"
    uri = f"s3://aws_default@{bucket}/{NAME}"

    def __init__(self, url: str) -> None:
        keys = {"aws_access_key_id": "key-id", "aws_secret_access_key": "key"}
        self.client = importlib.import_module("boto3").client(
            "s3", endpoint_url=url, region_name="us-east-1", **keys
        )
        extra = {"endpoint_url": url, "region_name": "us-east-1"}
        os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = json.dumps(
            {"conn_type": "aws", "login": "key-id", "password": "key", "extra": extra}
        )
        self.client.create_bucket(Bucket=self.bucket)
        self.theirs = self._begin()

    def put(self, files: Mapping[str, bytes]) -> None:
        """Hold these objects and nothing else."""
        for name in self.held():
            if name.startswith("upload "):
                upload = name.removeprefix("upload ")
                self.client.abort_multipart_upload(Bucket=self.bucket, Key=NAME, UploadId=upload)
            else:
                self.client.delete_object(Bucket=self.bucket, Key=name)
        for name, content in files.items():
            self.client.put_object(Bucket=self.bucket, Key=name, Body=content)

    def held(self) -> dict[str, bytes]:
        """Return all that is there, also uploads that are not finished; a missing one of the other writer."""
        listed = self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        uploads = self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
        ids = {upload["UploadId"] for upload in uploads}
        if self.theirs not in ids:
            self.theirs = self._begin()
            return {"the upload of another writer was aborted": b""}
        held = {
            item["Key"]: self.client.get_object(Bucket=self.bucket, Key=item["Key"])["Body"].read()
            for item in listed
        }
        return held | {f"upload {upload}": b"" for upload in ids - {self.theirs}}

    def _begin(self) -> str:
        return str(self.client.create_multipart_upload(Bucket=self.bucket, Key=NAME)["UploadId"])


Place = Disk | Sftp | Memory | S3


@contextmanager
def places(folder: Path) -> Iterator[dict[str, Place]]:
    """Start the servers, and return each place by its name."""
    for name in ("werkzeug", "asyncssh"):  # each request, else
        logging.getLogger(name).setLevel(logging.ERROR)
    with ExitStack() as stack:
        root = folder / "sftp"
        root.mkdir(exist_ok=True)
        sftp = stack.enter_context(importlib.import_module("tests.support.sftp_server").SftpServer(root))
        moto = importlib.import_module("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        moto.start()
        stack.callback(moto.stop)
        host, port = moto.get_host_and_port()
        yield {
            "disk": Disk(folder / "disk"),
            "s3": S3(f"http://{host}:{port}"),
            "sftp": Sftp(root / "lake", sftp),
            "memory": Memory(folder / "memory.json"),
        }
