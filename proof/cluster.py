"""`KafkaCluster`: three brokers that copy each other, each a controller too, as one is run elsewhere."""

import json
from collections.abc import Mapping
from pathlib import Path

from streams.embedded_kafka import EmbeddedKafka, free_ports, new_cluster_id

NUMBERS = (1, 2, 3)
AS_ELSEWHERE = {
    # Kafka's own: so long what a broker led is led by nobody once it is gone.
    "broker.session.timeout.ms": "9000",
    "broker.heartbeat.interval.ms": "2000",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
}


class KafkaCluster:
    """Any two of three are enough to go on. Ports are chosen here, since all must know them before the
    first of them starts."""

    def __init__(
        self,
        folder: Path,
        *,
        heap_mb: int,
        properties: Mapping[str, str],
        advertised_host: str = "127.0.0.1",
    ) -> None:
        cluster_id = new_cluster_id()
        voters = []
        for number in NUMBERS:
            place = folder / str(number)
            assign_ports(place, 1, cluster_id=cluster_id)
            controller = json.loads((place / "identity.json").read_text())["controller_port"]
            voters.append(f"{number}@127.0.0.1:{controller}")
        common = {**AS_ELSEWHERE, "controller.quorum.voters": ",".join(voters), **properties}
        self.brokers = [
            EmbeddedKafka(
                folder / str(number),
                heap_mb=heap_mb,
                properties=common | {"node.id": str(number)},
                format_options=(),
                advertised_host=advertised_host,
            )
            for number in NUMBERS
        ]

    @property
    def bootstrap(self) -> str:
        """Of all; known once started."""
        return ",".join(broker.bootstrap for broker in self.brokers)

    def start(self) -> None:
        """All at once, since they wait for each other. Raises `KafkaUnavailable`."""
        try:
            for broker in self.brokers:
                broker.launch()
            for broker in self.brokers:
                broker.wait_until_answering()
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        for broker in self.brokers:
            broker.kill()


def assign_ports(folder: Path, count: int, *, cluster_id: str | None = None) -> list[int]:
    """For clients, chosen and written where the broker of this folder keeps its identity, with one
    for controllers."""
    controller, first, *others = free_ports(1 + count)
    folder.mkdir(parents=True)
    identity = {
        "cluster_id": cluster_id or new_cluster_id(),
        "port": str(first),
        "controller_port": str(controller),
    }
    (folder / "identity.json").write_text(json.dumps(identity))
    return [first, *others]
