"""A server that speaks SFTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.sftp_server import SftpServer


@pytest.fixture(scope="package")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    """The server, whose root is a folder for the folders of all tests."""
    pytest.importorskip("sshfs", reason="test_sftp.py fails without it")
    from tests.support.sftp_server import SftpServer

    with SftpServer(tmp_path_factory.mktemp("sftp")) as server:
        yield server


@pytest.fixture
def sftp_folder(sftp: SftpServer, tmp_path: Path) -> Iterator[Path]:
    """An empty folder of the server, which ``sftp://host/<its name>/`` is the address of."""
    folder = sftp.folder / tmp_path.name
    folder.mkdir()
    with sftp.connected():
        yield folder
    sftp.restore()
