"""What the server needs to know of a vendor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypedDict, get_args, runtime_checkable

from aiohttp import web
from aiohttp.typedefs import Handler

# A vendor's API, its logins and its stored files live on different hosts. Different ports make different
# origins, which is enough to see whether a client sends a credential where it does not belong.
Origin = Literal["api", "auth", "storage"]
ORIGINS: tuple[Origin, ...] = get_args(Origin)

Connection = dict[str, Any]
"""An Airflow connection in the JSON form of ``AIRFLOW_CONN_...``, with ``extra`` as an object."""


class JobView(TypedDict):
    """A job as ``GET /_sandbox/jobs`` shows it.

    ``polls`` counts the status requests that reached the job: one with a refused token does not, nor one that
    a scripted answer for its path has taken.
    """

    vendor: str
    id: str
    status: object
    progress: object
    polls: int
    last_poll_at: float | None


class Vendor(Protocol):
    """One vendor's stand-in.

    The admin methods take and give plain JSON values and complain with ``ValueError``.
    """

    @property
    def name(self) -> str:
        """The vendor's connection type."""

    @property
    def prefixes(self) -> Sequence[str]:
        """How the vendor's paths begin, which is how an unknown path finds its vendor's kind of error."""

    @property
    def routes(self) -> Mapping[Origin, Sequence[web.RouteDef]]:
        """The vendor's endpoints by origin."""

    def error_body(self, status: int, message: str, path: str) -> object:
        """Return the JSON body of an error.

        :param status: The HTTP status.
        :param message: What went wrong.
        :param path: The path as it stands on the request line.
        """

    def connection(self, urls: Mapping[Origin, str], *, token: bool = False, jwt: bool = False) -> Connection:
        """Return an Airflow connection to this vendor. A vendor without such a choice ignores it.

        :param urls: The addresses of the origins.
        :param token: Give a static access token instead of a login.
        :param jwt: Give a private key for signed assertions instead of a password.
        """

    def put_job(self, job_id: str, spec: Mapping[str, object]) -> JobView:
        """Make a job, or replace the one with this id."""

    def jobs(self) -> list[JobView]:
        """Return all jobs."""

    def settings(self) -> dict[str, object]:
        """Return the settings and counters."""

    def change_settings(self, changes: Mapping[str, object]) -> None:
        """Change some settings."""

    def revoke(self) -> int:
        """End all tokens and return how many there were."""


@runtime_checkable
class Movable(Protocol):
    """A vendor some of whose endpoints are where a setting says."""

    def elsewhere(self, request: web.Request) -> Handler | None:
        """Return what answers a request for which there is no endpoint, or None."""
