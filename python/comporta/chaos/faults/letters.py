"""A topic of dead letters that refuses them: they are waited for, in words, and none is lost."""

from __future__ import annotations

from comporta import addresses, brokers
from comporta.chaos.fault import Breach, Fault
from comporta.chaos.kafka import configure
from comporta.chaos.logs import Logs
from comporta.chaos.system import System
from comporta.letters.kafka import KEPT

LIMIT = 100  # bytes of a message: fewer than any letter has
LETTERS = 3
SAID = "raise its max.message.bytes"  # in the log
SAID_WITHIN = 30.0  # seconds


class RefuseLetters(Fault):
    """The topic takes no message of a letter's size for some seconds, and there are letters meanwhile."""

    name = "refuse-letters"
    systems = ("cluster", "replicated")
    seconds = 3.0

    def inject(self, system: System) -> str:
        cluster = system.cluster
        self._topic = f"{cluster.topic}.dead"
        address = addresses.kafka(f"kafka://{cluster.services.kafka}/{self._topic}")
        brokers.ensure_topics(address, like=cluster.topic, config=KEPT)
        configure(cluster.services.kafka, self._topic, KEPT | {"max.message.bytes": str(LIMIT)})
        self._logs = Logs(system.folder)
        for _ in range(LETTERS):
            system.producer.poison("raise")
        return f"{self._topic}, messages of {LIMIT} bytes at most"

    def heal(self, system: System) -> None:
        is_said = self._logs.wait_for(SAID, SAID_WITHIN)
        configure(system.cluster.services.kafka, self._topic, KEPT)
        if not is_said:
            raise Breach("that the topic refuses dead letters, and what to set, is not in the log")
