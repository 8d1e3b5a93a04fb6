"""Calls of a user's own, on a vendor's connection: a session, single requests, and ``HttpOperator``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_jobstatus.core.errors import SettingsError, VendorError
from airflow_provider_jobstatus.hooks.driving import DrivingHook

if TYPE_CHECKING:
    from airflow_provider_jobstatus.transports.bound_session import BoundSession, Reply

#: What a call of :meth:`CallingHook.run` may change.
_CALL_OPTIONS = {"timeout", "allow_redirects", "stream", "proxies", "cert", "verify"}


class CallingHook(DrivingHook):
    """
    A hook that is of use by itself.

    :param conn_id: Airflow connection, read when it is first needed; also under the vendor's name for it.
        Default: ``default_conn_name``.
    :param method: HTTP method of :meth:`run`.
    :param auth_type: must be None; with the next, what ``HttpOperator`` gives to a hook.
    :param others: ``tcp_keep_alive`` and the like, without effect: a connection here does not live that long.
    """

    def __init__(
        self, conn_id: str | None = None, method: str = "GET", auth_type: Any = None, **others: Any
    ) -> None:
        if conn_id is None:
            conn_id = others.pop(self.conn_name_attr, self.default_conn_name)
        super().__init__(conn_id)
        if auth_type is not None:
            raise SettingsError("auth_type: the connection's own credential is sent; leave it out")
        if unknown := [name for name in others if not name.startswith("tcp_keep_alive")]:
            raise TypeError(f"{type(self).__name__}() got an unexpected keyword argument {unknown[0]!r}")
        self.method = method.upper()

    def get_conn(self) -> BoundSession:
        """
        Return a ``requests.Session`` for calls of your own: ``session.get("/path")`` goes to the base URL.

        Only what goes to the connection's own origin carries its credential, also after redirects; a token is
        exchanged and renewed. A call takes no longer than the connection's time-out, or than its own if that
        is longer; of a streamed reply, only the head. Certificates are checked, ``.netrc`` is not read. Close
        it, or use it as a context manager.

        :raises SettingsError: the connection cannot be used.
        """
        from airflow.sdk.log import mask_secret

        from airflow_provider_jobstatus.transports.blocking import BlockingClient
        from airflow_provider_jobstatus.transports.bound_session import BoundSession

        limits, ca = self._limits(), self._ca_file()
        client = BlockingClient(limits, ca, mask_secret)
        return BoundSession(self.conn_type, self.settings.base_url, self.auth, client, limits, ca)

    def run(
        self,
        endpoint: str | None = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        extra_options: Mapping[str, Any] | None = None,
        **request_kwargs: Any,
    ) -> Reply:
        """
        Send one request of the hook's ``method``, as ``HttpHook.run`` does, and return the reply.

        :param endpoint: path after the base URL, or a full URL.
        :param data: the query of a GET, else the body.
        :param extra_options: ``timeout``, ``allow_redirects``, ``stream``, ``proxies``, ``cert``, a CA file
            as ``verify``, and ``check_response``: whether a status of 400 and above is an error (default).
        :param request_kwargs: further arguments of ``requests.Session.request``, such as ``json``.
        :raises VendorError: no usable reply, or such a status.
        :raises SettingsError: the connection or an option cannot be used.
        """
        options = dict(extra_options or {})
        check = options.pop("check_response", True)
        if unknown := sorted(set(options) - _CALL_OPTIONS):
            known = ", ".join(sorted({"check_response", *_CALL_OPTIONS}))
            raise SettingsError(f"extra_options has {unknown[0]!r}; there are {known}")
        if self.method != "HEAD":
            request_kwargs["params" if self.method == "GET" else "data"] = data
        session = self.get_conn()
        try:
            return session.ask(
                self.method,
                endpoint or "",
                check,
                headers=headers,
                **options,
                **request_kwargs,
            )
        except VendorError as error:
            error.conn_id = self.conn_id
            raise
        finally:
            if not options.get("stream"):
                session.close()

    def run_with_advanced_retry(self, *_: Any, **__: Any) -> Reply:
        """:raises SettingsError: always; ``HttpOperator`` calls this for its ``retry_args``."""
        raise SettingsError("retry_args have no effect here; set the task's retries and retry_delay")
