"""Secrets and TLS of every connection, from the environment or from files, and only from there.

For each SERVICE of `KAFKA`, `CASSANDRA` and `REDIS`:

| variable | meaning |
| --- | --- |
| `COMPORTA_SERVICE_USERNAME` | who connects |
| `COMPORTA_SERVICE_PASSWORD`, `COMPORTA_SERVICE_PASSWORD_FILE` | the password, or a file of it |
| `COMPORTA_SERVICE_TLS` | `on` or `off`; `on` where a file below is given or the URL says so |
| `COMPORTA_SERVICE_CA_FILE` | certificates to trust instead of the system's, PEM |
| `COMPORTA_SERVICE_CERTIFICATE_FILE`, `COMPORTA_SERVICE_KEY_FILE` | a client's certificate and key, PEM |
| `COMPORTA_SERVICE_CHECK_HOSTNAME` | `on` or `off`: whether a certificate must be for the host's name; `on` |
| `COMPORTA_KAFKA_SASL_MECHANISM` | `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`; `PLAIN` if nothing is said |
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from comporta.errors import UsageError

Service = Literal["kafka", "cassandra", "redis"]
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass(frozen=True)
class Security:
    """How to connect: as whom, and in TLS if there is a context. The password is in no representation."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    mechanism: str = "PLAIN"


def security(service: Service, *, tls: bool = False) -> Security:
    """What the environment says of `service`; `tls` if its URL asks for it already.

    Raises `UsageError` for a setting that cannot be meant or a file that cannot be read.
    """
    environment = _Environment(service)
    mechanism = environment.get("SASL_MECHANISM") or "PLAIN"
    if mechanism not in MECHANISMS:
        raise environment.wrong("SASL_MECHANISM", mechanism, " or ".join(MECHANISMS))
    username, password = environment.get("USERNAME"), environment.password()
    if username and password is None:
        raise UsageError(
            f"{environment.name('USERNAME')} is set, but neither {environment.name('PASSWORD')} nor"
            f" {environment.name('PASSWORD_FILE')} is"
        )
    return Security(username, password, environment.context(tls), mechanism)


class _Environment:
    def __init__(self, service: Service) -> None:
        self._service = service

    def name(self, what: str) -> str:
        return f"COMPORTA_{self._service.upper()}_{what}"

    def get(self, what: str) -> str | None:
        return os.environ.get(self.name(what)) or None

    def wrong(self, what: str, value: str, right: str) -> UsageError:
        return UsageError(f"{self.name(what)} is {value!r}: it must be {right}")

    def password(self) -> str | None:
        path = self.get("PASSWORD_FILE")
        if path is None:
            return self.get("PASSWORD")
        try:
            return Path(path).read_text().partition("\n")[0]
        except (OSError, UnicodeDecodeError) as error:
            raise self._unreadable("PASSWORD_FILE", path, error) from None

    def context(self, tls: bool) -> ssl.SSLContext | None:
        """The TLS settings, or None for none."""
        files = [self.get(what) for what in ("CA_FILE", "CERTIFICATE_FILE", "KEY_FILE")]
        if not self._is_on("TLS", default=tls or any(files)):
            return None
        authorities, certificate, key = files
        try:
            context = ssl.create_default_context(cafile=authorities)
        except OSError as error:
            raise self._unreadable("CA_FILE", str(authorities), error) from None
        context.check_hostname = self._is_on("CHECK_HOSTNAME", default=True)
        if key and not certificate:
            raise UsageError(f"{self.name('KEY_FILE')} is set, but {self.name('CERTIFICATE_FILE')} is not")
        if certificate:
            what, path = (
                ("KEY_FILE", key) if key and Path(certificate).exists() else ("CERTIFICATE_FILE", certificate)
            )
            try:
                context.load_cert_chain(certificate, key, password="")  # or it asks the terminal for one
            except OSError as error:
                raise self._unreadable(what, path, error) from None
        return context

    def _is_on(self, what: str, *, default: bool) -> bool:
        value = self.get(what)
        if value not in (None, "on", "off"):
            raise self.wrong(what, value, "on or off")
        return default if value is None else value == "on"

    def _unreadable(self, what: str, path: str, error: Exception) -> UsageError:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        return UsageError(f"{self.name(what)}: {path} cannot be read: {reason}")
