"""Nodes of the services: killed, frozen, restarted, their leaders moved, what they keep forgotten."""

from __future__ import annotations

from typing import ClassVar

from comporta import addresses
from comporta.chaos.elections import move_leaders
from comporta.chaos.fault import Fault
from comporta.chaos.system import System
from comporta.chaos.workload import Kind, Workload
from comporta.services import Kafka, Node, Redis

FAILOVER = 15.0  # seconds in which the other nodes of any service notice that one is gone, and take over


class OfNode(Fault):
    """Something that is done to one node of a service, and for so long that others take over.

    A single node is soon there again, as all wait for it; `alone` is after how many seconds.
    """

    service: ClassVar[str]
    alone: ClassVar[float] = 2.0
    systems: ClassVar[tuple[Kind, ...]] = ("cluster", "replicated")
    node: Node

    @classmethod
    def suits(cls, workload: type[Workload]) -> bool:
        return cls.service != "redis" or workload.deduplicates

    def is_survived(self, system: System) -> bool:
        return system.kind == "replicated" and (self.service != "redis" or self.node.plan.replicas > 0)

    def inject(self, system: System) -> str:
        self.node = self.pick(self.nodes(system))
        self.seconds = FAILOVER if self.is_survived(system) else self.alone
        said = _described(self.node)
        self.hurt(self.node)
        return said

    def nodes(self, system: System) -> list[Node]:
        """Those that it may be done to."""
        return system.cluster.nodes(self.service)

    def hurt(self, node: Node) -> None:
        """Do it."""
        raise NotImplementedError

    def heal(self, system: System) -> None:
        self.node.start()


class KillNode(OfNode):
    """kill -9 of a node, which is started again."""

    @classmethod
    def turns(cls, system: System) -> int:
        return len(system.cluster.nodes(cls.service))

    def hurt(self, node: Node) -> None:
        node.kill()


class RestartNode(OfNode):
    """A node is told to end, as for an upgrade, and started again."""

    def hurt(self, node: Node) -> None:
        node.end()


class FreezeNode(OfNode):
    """A node answers no more, though its connections stay, for longer than a session of the group."""

    alone = 8.0

    def hurt(self, node: Node) -> None:
        node.stop()

    def heal(self, system: System) -> None:
        self.node.resume()
        super().heal(system)


class KillKafka(KillNode):
    name, service = "kill-kafka", "kafka"


class KillCassandra(KillNode):
    name, service = "kill-cassandra", "cassandra"


class KillRedis(KillNode):
    name, service = "kill-redis", "redis"
    may_lose_claims = True


class RestartKafka(RestartNode):
    name, service = "restart-kafka", "kafka"


class RestartCassandra(RestartNode):
    name, service = "restart-cassandra", "cassandra"


class RestartRedis(RestartNode):
    name, service = "restart-redis", "redis"
    may_lose_claims = True


class FreezeKafka(FreezeNode):
    name, service = "freeze-kafka", "kafka"


class FreezeCassandra(FreezeNode):
    name, service = "freeze-cassandra", "cassandra"


class FreezeRedis(FreezeNode):
    name, service = "freeze-redis", "redis"
    may_lose_claims = True


class KillController(KillKafka):
    """Of the brokers, the one that leads the controllers."""

    name = "kill-controller"
    systems = ("replicated",)

    def nodes(self, system: System) -> list[Node]:
        return [node for node in super().nodes(system) if _leads_controllers(node)]

    @classmethod
    def turns(cls, system: System) -> int:
        return 0  # it has had its turn as one of the brokers


class KillMaster(KillRedis):
    """Of the nodes of Redis, one that is not a replica."""

    name = "kill-redis-master"
    systems = ("replicated",)

    def nodes(self, system: System) -> list[Node]:
        return [node for node in super().nodes(system) if _is_master(node)]

    @classmethod
    def turns(cls, system: System) -> int:
        return 0


class MoveLeaders(Fault):
    """Has another broker lead each partition of the topic."""

    name = "move-leaders"
    systems = ("replicated",)

    def inject(self, system: System) -> str:
        cluster = system.cluster
        address = addresses.kafka(f"kafka://{cluster.services.kafka}/{cluster.topic}")
        leaders = move_leaders(address, self.chance)
        return ", ".join(f"{number} to kafka-{leader}" for number, leader in leaders.items())


class FlushRedis(Fault):
    """Has Redis forget everything: duplicates may count again, and nothing else may happen."""

    name = "flush-redis"
    systems = ("cluster", "replicated")
    needs_own = True
    may_lose_claims = True

    @classmethod
    def suits(cls, workload: type[Workload]) -> bool:
        return workload.deduplicates

    def inject(self, system: System) -> str:
        masters = [node for node in system.cluster.nodes("redis") if _is_master(node)]
        for node in masters:
            assert isinstance(node, Redis)
            node.flush()
        return ", ".join(node.name for node in masters)


def _leads_controllers(node: Node) -> bool:
    return isinstance(node, Kafka) and node.leads_controllers()


def _is_master(node: Node) -> bool:
    return isinstance(node, Redis) and node.is_master()


def _described(node: Node) -> str:
    if node.plan.nodes == 1:
        return node.name
    if _leads_controllers(node):
        return f"{node.name}, which leads the controllers"
    return f"{node.name}, a master" if _is_master(node) else node.name
