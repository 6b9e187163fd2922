"""A node of Cassandra that lets in only who has a password, and a certificate that it trusts."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Sequence
from pathlib import Path

from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster, NoHostAvailable
from certificates import certificate

from comporta.services import plan, ports
from comporta.services.cassandra import Cassandra


class OwnCassandra(Cassandra):
    """In a folder that is `watched`, which ends it. It speaks TLS only.

    `certificate` is its own, trusted by itself; `client` and `client_key` are of whom it lets in.
    """

    user, password = "cassandra", "cassandra"  # whom it makes itself

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        port = ports.find(["127.0.0.1"], os.getpid() * 17)
        whole = plan.extended(None, 1, {"cassandra": port}, ["cassandra"])
        plan.write(folder, whole)
        super().__init__(whole, 1, folder)
        self.folder.mkdir()
        self.certificate, key = certificate(self.folder, "server")
        self.client, self.client_key = certificate(self.folder, "client")
        self._keystore = self.folder / "keystore.pem"
        self._keystore.write_text(key.read_text() + self.certificate.read_text())

    def configure(self) -> None:
        super().configure()
        path = self.folder / "cassandra.yaml"
        settings = json.loads(path.read_text())
        settings["authenticator"] = {"class_name": "PasswordAuthenticator"}
        settings["client_encryption_options"] = {
            "enabled": True,
            "require_client_auth": True,
            "keystore": str(self._keystore),
            "truststore": str(self.client),
            "ssl_context_factory": {"class_name": "org.apache.cassandra.security.PEMBasedSslContextFactory"},
        }
        path.write_text(json.dumps(settings))

    def command(self) -> Sequence[str | Path]:
        java, *rest = super().command()
        return [java, "-Dcassandra.superuser_setup_delay_ms=0", *rest]

    def answers(self) -> bool:
        context = ssl.create_default_context(cafile=self.certificate)
        context.load_cert_chain(self.client, self.client_key)
        user = PlainTextAuthProvider(self.user, self.password)
        try:
            with Cluster([self.host], self.port, ssl_context=context, auth_provider=user) as cluster:
                cluster.connect()
        except NoHostAvailable as error:
            raise OSError("not yet") from error
        return True
