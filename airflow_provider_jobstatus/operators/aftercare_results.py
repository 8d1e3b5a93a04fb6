"""What a job of Aftercare's has found, written to a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_jobstatus.core.jobs import JobState
from airflow_provider_jobstatus.exceptions import BadSettings, DownloadIncomplete, JobFailed, JobNotFinished
from airflow_provider_jobstatus.files.destination import IfExists, unless_there
from airflow_provider_jobstatus.hooks.aftercare import AftercareHook
from airflow_provider_jobstatus.tasks import arguments

if TYPE_CHECKING:
    from airflow_provider_jobstatus.files.row_files import RowFormat


#: Largest file with an order.
MAX_ORDER_BYTES = 64 * 1024 * 1024


def fetch_coding_results(
    hook: AftercareHook,
    job_id: str,
    destination: object,
    *,
    file_format: RowFormat = "ndjson",
    cursor_parameter: str | None = None,
    if_exists: IfExists = "replace",
) -> dict[str, Any]:
    """
    Write the rows of a job's results, of all pages, and return the manifest.

    :param job_id: of a job that has ended.
    :param destination: path, URI, or a folder with a trailing slash: then ``results-<job>.<format>`` in it.
    :param cursor_parameter: name of the query parameter that takes a cursor; None for the connection's.
    :raises JobNotFinished: the job still runs.
    :raises JobFailed: the job has no results.
    :raises VendorError, SettingsError: as :meth:`AftercareHook.open`.
    :raises DownloadIncomplete: a page is not whole, after some tries.
    :raises DestinationError: it cannot be written.
    :raises BadSettings: a Parquet file needs ``pyarrow``.
    """
    from airflow_provider_jobstatus.files.destination import resolve
    from airflow_provider_jobstatus.files.naming import name_for_job
    from airflow_provider_jobstatus.files.parquet_file import load_pyarrow
    from airflow_provider_jobstatus.files.retry_budget import RetryBudget

    if file_format == "parquet":
        load_pyarrow()
    job = hook.parse_job_id(job_id)
    path = resolve(destination, name_for_job(f"results.{file_format}", job.text))

    def fetch() -> dict[str, Any]:
        patience = RetryBudget(f"{job_id} (connection {hook.conn_id!r})")
        status = patience.try_out(lambda: hook.job_status(job_id))
        line = f"{job_id}: {status.describe()}"
        if status.state is JobState.RUNNING:
            raise JobNotFinished(f"{line}; wait for it with BatchJobSensor")
        if status.state is not JobState.SUCCEEDED:
            raise JobFailed(f"{line}; Aftercare documents no results of such a job", status.as_dict())
        return patience.try_out(
            lambda: _write(hook, job_id, path, file_format, cursor_parameter, if_exists),
            if_missing=f"the job is {status.vendor_status}, and yet its results are not there",
        )

    return {"job_id": job_id, **unless_there(path, if_exists, fetch)}


def _write(
    hook: AftercareHook,
    job_id: str,
    path: str,
    file_format: RowFormat,
    cursor_parameter: str | None,
    if_exists: IfExists,
) -> dict[str, Any]:
    """Write all pages, once."""
    from airflow_provider_jobstatus.core.content import JUDGED_BYTES, framing, misfit
    from airflow_provider_jobstatus.core.encodings import peek
    from airflow_provider_jobstatus.core.json_reader import JsonReader
    from airflow_provider_jobstatus.files.destination import writing
    from airflow_provider_jobstatus.files.parquet_file import ParquetFile
    from airflow_provider_jobstatus.files.row_files import CsvFile, DigestFile, RowFile
    from airflow_provider_jobstatus.hooks.aftercare.results import ResultPages, read_page, rows_of

    kind = {"ndjson": RowFile, "csv": CsvFile, "parquet": ParquetFile}[file_format]
    job = hook.parse_job_id(job_id)
    pages, maker = ResultPages(hook, job, cursor_parameter), rows_of(job)
    proofs: set[str] | None = None
    with writing(path, if_exists) as opened:
        file = DigestFile(opened)
        table = kind(file, maker.layout, pages.watch)
        rows = maker(table)
        while True:
            with hook.open(pages.operation()) as reply:
                head, chunks = peek(reply.chunks or (), JUDGED_BYTES)
                if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
                    sent = misfit("json", reply.content_type, head, len(head) < JUDGED_BYTES)
                    secrets = (*hook.auth.secrets, *reply.secrets)
                    came = sent.describe(secrets) if sent else "something that is no object of JSON"
                    raise DownloadIncomplete(f"instead of page {pages.number} of the results came {came}")
                try:
                    page = read_page(JsonReader(chunks, rows.fold), rows)
                    table.flush()
                except ValueError as error:
                    raise DownloadIncomplete(f"page {pages.number} of the results: {error}") from None
                framed = set(framing(reply.headers))
            proofs = framed if proofs is None else proofs & framed
            if not pages.end(page):
                break
        rows.finish()
        table.close()
    if rows.left_out.names:
        hook.log.warning("%s: no column holds %s of the results", job_id, ", ".join(rows.left_out.names))
    if table.replaced:
        hook.log.warning("%s: %d halves of characters became U+FFFD", job_id, table.replaced)
    return {
        "path": path,
        "bytes": file.size,
        "rows": table.rows,
        "sha256": file.sha256,
        "format": file_format,
        "verified_by": ", ".join([*sorted(proofs or ()), "shape"]),
    }


def read_order(source: str) -> bytes:
    """
    Return the content of a file with an order.

    :param source: path or URI.
    :raises BadSettings: it is none, or the file is too large.
    :raises NotSubmitted: it cannot be read.
    """
    from airflow_provider_jobstatus.files.upload_source import UploadFile

    content = bytearray()
    for piece in UploadFile(arguments.source(source)).checked():
        content += piece
        if len(content) > MAX_ORDER_BYTES:
            raise BadSettings(f"body is a file of more than {MAX_ORDER_BYTES} bytes")
    return bytes(content)
