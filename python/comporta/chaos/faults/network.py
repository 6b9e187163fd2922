"""A bad network between the releases and a service: what `comporta.chaos.proxy` can do."""

from __future__ import annotations

import time
from typing import ClassVar

from comporta.chaos.fault import Fault
from comporta.chaos.proxy import Proxy
from comporta.chaos.system import System
from comporta.chaos.workload import Workload


class Network(Fault):
    """Has the proxy in front of a service misbehave for a while."""

    service: ClassVar[str]
    systems = ("cluster",)
    needs_own = True

    @classmethod
    def suits(cls, workload: type[Workload]) -> bool:
        return cls.service != "redis" or workload.deduplicates

    def inject(self, system: System) -> str:
        return f"{self.worsen(self.proxy(system))}, to {self.service}"

    def heal(self, system: System) -> None:
        self.proxy(system).clear()

    def worsen(self, proxy: Proxy) -> str:
        """Do it, and say what."""
        raise NotImplementedError

    def proxy(self, system: System) -> Proxy:
        """The proxy in front of the service."""
        return system.cluster.proxies[self.service]


class Reset(Network):
    """Resets all connections, and the next ones, too."""

    def worsen(self, proxy: Proxy) -> str:
        count = 0
        for _ in range(5):
            count += proxy.reset() // 2
            time.sleep(self.chance.uniform(0.05, 0.5))
        return f"{count} connections reset"


class Delay(Network):
    seconds = 6.0

    def worsen(self, proxy: Proxy) -> str:
        proxy.delay = self.chance.uniform(0.02, 0.3)
        return f"{proxy.delay * 1000:.0f} ms added"


class Throttle(Network):
    seconds = 6.0

    def worsen(self, proxy: Proxy) -> str:
        proxy.rate = self.chance.randrange(8, 64) << 10
        return f"{proxy.rate >> 10} KiB a second"


class Swallow(Network):
    """Keeps what is sent, beyond all timeouts for an answer; it comes late, or never."""

    seconds = 12.0

    def worsen(self, proxy: Proxy) -> str:
        proxy.is_swallowing = True
        return "nothing goes through"

    def heal(self, system: System) -> None:
        if self.chance.random() < 0.5:
            self.proxy(system).reset()
        super().heal(system)


class Refuse(Network):
    seconds = 6.0

    def worsen(self, proxy: Proxy) -> str:
        proxy.refuse()
        return "connections refused"


class ResetKafka(Reset):
    name, service = "reset-kafka", "kafka"


class ResetCassandra(Reset):
    name, service = "reset-cassandra", "cassandra"


class ResetRedis(Reset):
    name, service = "reset-redis", "redis"


class DelayKafka(Delay):
    name, service = "delay-kafka", "kafka"


class DelayCassandra(Delay):
    name, service = "delay-cassandra", "cassandra"


class DelayRedis(Delay):
    name, service = "delay-redis", "redis"


class ThrottleKafka(Throttle):
    name, service = "throttle-kafka", "kafka"


class ThrottleCassandra(Throttle):
    name, service = "throttle-cassandra", "cassandra"


class ThrottleRedis(Throttle):
    name, service = "throttle-redis", "redis"


class SwallowKafka(Swallow):
    name, service = "swallow-kafka", "kafka"


class SwallowCassandra(Swallow):
    name, service = "swallow-cassandra", "cassandra"


class SwallowRedis(Swallow):
    name, service = "swallow-redis", "redis"


class RefuseKafka(Refuse):
    name, service = "refuse-kafka", "kafka"


class RefuseCassandra(Refuse):
    name, service = "refuse-cassandra", "cassandra"


class RefuseRedis(Refuse):
    name, service = "refuse-redis", "redis"
