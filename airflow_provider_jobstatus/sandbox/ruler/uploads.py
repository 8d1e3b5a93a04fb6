"""The uploads of the Ruler stand-in.

Sources: https://rulerapi.com/batch-jobs/upload-revenue-batch ,
https://rulerapi.com/batch-jobs/upload-opportunity-batch . Neither the method, the path nor the name of the
file's part is on a page that could be read, nor the body of a 400.
"""

from __future__ import annotations

import csv
import email.policy
import io
import re
from dataclasses import dataclass
from email.parser import BytesParser

from airflow_provider_jobstatus.sandbox.ruler.files import IDENTIFIERS, JOB_TYPES, Rejected, Row

REQUIRED = {
    "revenue": ("RevenueClosedDate", "CurrencyCode", "Value", "Label", "Reference"),
    "opportunity": ("OpportunityDateTime", "CurrencyCode", "OpportunityValue", "PipelineStage"),
}
CURRENCY = re.compile(r"[A-Z]{3}\Z")


@dataclass(frozen=True)
class Upload:
    """An upload that was taken: its header, how many rows it has, which are rejected, and its type."""

    header: Row
    total_rows: int
    rejected: list[Rejected]
    job_type: str


class UploadRefused(Exception):
    """An upload that makes no job.

    :param problems: Row number (0 for the file or its header) and message of each problem.
    """

    def __init__(self, *problems: tuple[int, str]) -> None:
        super().__init__("; ".join(message for _, message in problems))
        self.problems = problems


def site_and_type(path: str, upload_path: str) -> tuple[str, str] | None:
    """Return the site and the type of job of an upload to this path, or None if nothing takes it.

    :param upload_path: Where uploads go, with ``{site_id}`` and ``{job_type}`` in it.
    """
    for job_type in JOB_TYPES:
        before, _, after = upload_path.replace("{job_type}", job_type).partition("{site_id}")
        if path.startswith(before) and path.endswith(after):
            site = path[len(before) : len(path) - len(after)]
            if site and "/" not in site:
                return site, job_type
    return None


def file_part(content_type: str, body: bytes, part_name: str) -> bytes:
    """Return the part of this name of an upload's body.

    The body has been read for the recording already, so this takes a parser of bytes and not of a stream.

    :raises UploadRefused: There is no such part.
    """
    if not content_type.lower().startswith("multipart/form-data"):
        raise UploadRefused((0, "The body must be multipart/form-data."))
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    files = [
        part
        for part in message.iter_parts()
        if part.get_param("name", header="content-disposition") == part_name
    ]
    if len(files) != 1:
        raise UploadRefused((0, f"The body must have one part named {part_name}."))
    content = files[0].get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def read_form(form: tuple[str, bytes], part_name: str, job_type: str, *, strict: bool) -> Upload:
    """Read the file in a form.

    :param form: Its content type and its body.
    :raises UploadRefused: The form or the file is no good.
    """
    return read_upload(file_part(*form, part_name), job_type, strict=strict)


def read_upload(data: bytes, job_type: str, *, strict: bool = False) -> Upload:
    """Read an uploaded file.

    Only a missing value, a malformed CurrencyCode and an EmailAddress without @ reject a row here: enough to
    get every outcome of a job by uploading a file, also one that a client has checked.

    :param strict: Whether such rows refuse the whole file, with their cells in the messages. The page says
        that a 400 has row-level errors, and not of which kind.
    :raises UploadRefused: The file as a whole is no good.
    """
    try:
        text = data.decode("utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UploadRefused((0, f"The file cannot be read as UTF-8 CSV: {error}.")) from error
    if not rows:
        raise UploadRefused((0, "The file is empty."))
    header = rows.pop(0)
    required = REQUIRED[job_type]
    problems = [(0, f"The column {name} is missing.") for name in required if name not in header]
    if not set(IDENTIFIERS) & set(header):
        problems.append((0, f"One of the columns {', '.join(IDENTIFIERS)} is needed."))
    if not problems and not rows:
        problems.append((0, "The file has no rows."))
    if problems:
        raise UploadRefused(*problems)
    amount = required[2]
    value, currency = header.index(amount), header.index("CurrencyCode")
    address = header.index("EmailAddress") if "EmailAddress" in header else len(header)
    rejected = []
    for number, row in enumerate(rows, start=1):
        complaints = []
        if not _cell(row, value).strip():
            complaints.append(f"{amount} is required.")
        if not CURRENCY.match(_cell(row, currency)):
            complaints.append("CurrencyCode is not an ISO 4217 code.")
        if "@" not in (_cell(row, address) or "@"):
            complaints.append("EmailAddress is not an e-mail address.")
        if complaints:
            rejected.append(Rejected(number, row, " ".join(complaints)))
    if strict and rejected:
        problems = [(row.number, f"{row.message} ({', '.join(row.cells)})") for row in rejected]
        raise UploadRefused(*problems)
    return Upload(header, len(rows), rejected, job_type)


def _cell(row: Row, position: int) -> str:
    return row[position] if position < len(row) else ""
