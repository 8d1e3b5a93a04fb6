"""A form with one file as a request's body, streamed (RFC 7578)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from airflow_provider_jobstatus.core.errors import SettingsError
from airflow_provider_jobstatus.core.http import StreamedBody

#: What may be the name of a part without being quoted in ways that servers read differently.
_NAME = re.compile(r"[A-Za-z0-9_.\[\]-]{1,100}")


@dataclass(frozen=True, slots=True)
class FileForm:
    """
    The body of a form with one part, a file.

    What closes the form is sent last, and only if all of the file could be read: a server that has it has the
    whole file.

    :param part_name: of the file's part.
    :param file_name: as the server sees it.
    :param media_type: of the file.
    :param content: the file; if its chunks raise, the form is not closed.
    :param boundary: occurs nowhere in the file.
    """

    part_name: str
    file_name: str
    media_type: str
    content: StreamedBody
    boundary: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.part_name):
            raise SettingsError(
                "part_name is no name of a part; give up to 100 letters, digits and -_.[] of ASCII"
            )

    @property
    def content_type(self) -> str:
        """The request's header of this name."""
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def length(self) -> int:
        """Bytes of the whole form."""
        return len(self._head) + self.content.length + len(self._tail)

    def chunks(self) -> Iterator[bytes]:
        """Yield the form from its beginning."""
        yield self._head
        yield from self.content.chunks()
        yield self._tail

    @property
    def _head(self) -> bytes:
        return (
            f"--{self.boundary}\r\n"
            f'Content-Disposition: form-data; name="{self.part_name}"; filename="{self.file_name}"\r\n'
            f"Content-Type: {self.media_type}\r\n\r\n"
        ).encode("ascii")

    @property
    def _tail(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode("ascii")
