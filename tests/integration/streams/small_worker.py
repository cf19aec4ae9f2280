"""A real worker process around the simulator's smallest pipeline; its provider is a real socket.

Arguments: role, slot, bootstrap, prefix, data folder, provider port; how long a session, a drain
and a transaction may last, in seconds.
"""

import asyncio
import sys
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

from schemas.outcome import Accepted, Outcome, Unknown
from streams import logs
from streams.config_kafka import KafkaSettings
from streams.config_shape import KafkaShape
from streams.engine.ports import Lease
from streams.engine.routes import Topology
from streams.engine.runner import RunnerSettings
from streams.faust_app import GroupSettings
from streams.lease import HeartbeatLease
from streams.metrics import Metrics
from streams.patience import Patience, into_log
from streams.reaching import reach
from streams.transactions import KafkaLog
from streams.watched_clock import WatchedClock
from streams.worker import WorkerSettings, run
from tests.simulation.small import decide_topology, send_topology


class SocketProvider:
    """Asks the ledger server to accept one delivery; its answer is one line."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def request(self, delivery_ids: Sequence[bytes]) -> list[Outcome]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(delivery_ids[0] + b"\n")
            answer = await asyncio.wait_for(reader.readline(), 8)
        except TimeoutError:
            answer = b""
        finally:
            writer.close()
        return [Accepted()] if answer else [Unknown()]


class SmallPlan:
    def __init__(self, topology: Topology) -> None:
        self.topology = topology

    def permit(self, lease: HeartbeatLease) -> Lease:
        return lease

    async def start(self, die: Callable[[BaseException], None]) -> None: ...

    def fenced(self, numbers: Collection[int]) -> None: ...

    async def before_open(self) -> None: ...

    async def close(self) -> None: ...


def main() -> int:
    role, slot, bootstrap, prefix, folder, port, session, drain, transaction = sys.argv[1:]
    logs.configure(level="INFO", role=role, slot=slot)
    kafka = KafkaSettings(KafkaShape(bootstrap=bootstrap, topic_prefix=prefix), Path(folder))

    def plan_for(metrics: Metrics, clock: WatchedClock) -> SmallPlan:
        if role == "decide":
            return SmallPlan(decide_topology())
        return SmallPlan(send_topology(SocketProvider(int(port))))

    settings = WorkerSettings(
        group=GroupSettings(
            role=role,
            slot=int(slot),
            session_seconds=float(session),
            heartbeat_seconds=0.5,
            data_dir=Path(folder),
        ),
        names=kafka.names,
        connection=kafka.connection(),
        patience=Patience(partial(reach, kafka), into_log),
        runner=RunnerSettings(
            max_open_calls=64, drain_seconds=float(drain), cut_grace_seconds=min(5.0, float(drain))
        ),
        lease_margin_seconds=1.0,
    )

    async def check() -> None: ...

    KafkaLog.timeout_ms = round(float(transaction) * 1000)
    return run(settings, plan_for, check=check)


if __name__ == "__main__":
    sys.exit(main())
