"""A broker of a test's own: with users and TLS, to be stopped and started again."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from comporta.services import jars, kafka, ports, processes

LISTENERS = ("PLAINTEXT", "SASL_PLAINTEXT", "SSL", "SASL_SSL", "CONTROLLER")
USER, PASSWORD = "alice", "correct horse battery"
JAAS = "org.apache.kafka.common.security"


class OwnKafka:
    """Its listeners are named for their protocols; the certificate is for 127.0.0.1 and trusted by itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate = folder / "certificate.pem"
        taken: list[int] = []
        for number in range(len(LISTENERS)):
            taken.append(ports.find(["127.0.0.1"], os.getpid() * 11 + number * 100, taken))
        self.ports = dict(zip(LISTENERS, taken, strict=True))
        self._process: processes.Process | None = None
        self._certify()
        self._configure()
        format = ["kafka.tools.StorageTool", "format", "-t", "bGV0dGVycy1sZXR0ZXJzLQ"]
        format += ["-c", str(folder / "server.properties")]
        format += ["--add-scram", f'SCRAM-SHA-256=[name={USER},password="{PASSWORD}"]']
        subprocess.run([*self._java(), *format], cwd=folder, check=True, stdout=subprocess.DEVNULL)

    def server(self, listener: str = "PLAINTEXT") -> str:
        return f"127.0.0.1:{self.ports[listener]}"

    def start(self) -> None:
        command = [*self._java(), "kafka.Kafka", self.folder / "server.properties"]
        self._process = processes.start(command, self.folder / "log", self.folder)
        deadline = time.monotonic() + 120
        while b"Kafka Server started" not in (self.folder / "log").read_bytes():
            assert self._process.is_alive(), (self.folder / "log").read_text()[-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def stop(self) -> None:
        if self._process:
            processes.end([self._process], 20, gently=False)
            self._process = None
            (self.folder / "log").write_bytes(b"")

    def forbid(self, operation: str, name: str, *, what: str = "topic") -> None:
        """Take a right to a topic, or to another kind of thing, from the user, and leave all others."""
        for rule in (
            ["--allow-principal", f"User:{USER}", "--operation", "All"],
            ["--deny-principal", f"User:{USER}", "--operation", operation],
        ):
            command = ["org.apache.kafka.tools.AclCommand", "--bootstrap-server", self.server(), "--add"]
            subprocess.run(
                [*self._java(), *command, *rule, f"--{what}", name], check=True, capture_output=True
            )

    def _java(self) -> list[str | Path]:
        classes = jars.classpath(jars.fetch(kafka.JARS, kafka.ARTIFACTS, print))
        options = ["-Xmx384m", "-XX:TieredStopAtLevel=1", f"-Djava.io.tmpdir={self.folder}"]
        return [shutil.which("java") or "java", *options, "-cp", classes]

    def _certify(self) -> None:
        command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
        command += " -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out certificate.pem"
        subprocess.run(command.split(), cwd=self.folder, check=True, stderr=subprocess.DEVNULL)
        both = (self.folder / "key.pem").read_text() + self.certificate.read_text()
        (self.folder / "keystore.pem").write_text(both)

    def _configure(self) -> None:
        addresses = {name: f"{name}://127.0.0.1:{port}" for name, port in self.ports.items()}
        public = [name for name in LISTENERS if name != "CONTROLLER"]
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self.ports['CONTROLLER']}",
            "listeners": ",".join(addresses.values()),
            "advertised.listeners": ",".join(addresses[name] for name in public),
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,"
            + ",".join(f"{name}:{name}" for name in public),
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            "offsets.topic.replication.factor": "1",
            "auto.create.topics.enable": "false",
            "log.cleaner.dedupe.buffer.size": str(16 << 20),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "allow.everyone.if.no.acl.found": "true",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.folder / "keystore.pem"),
        }
        for name in ("sasl_plaintext", "sasl_ssl"):
            prefix = f"listener.name.{name}"
            settings[f"{prefix}.plain.sasl.jaas.config"] = (
                f'{JAAS}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
            )
            settings[f"{prefix}.scram-sha-256.sasl.jaas.config"] = f"{JAAS}.scram.ScramLoginModule required;"
        (self.folder / "server.properties").write_text(kafka.render(settings))
