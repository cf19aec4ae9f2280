"""A pipeline of forked workers, around which a test plays the world: producers, people, an
operator, providers with faults."""

import asyncio
import contextlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import aiohttp
import msgspec
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from policies.receipt_merge import fold
from policies.stop_memory import Scope
from proof.worker_process import Prepare, WorkerProcess, as_it_is
from sandbox.faults import FaultRule
from schemas import ids, topics
from schemas.kafka import InboundRecord, TopicPartition
from schemas.receipt import Receipt
from streams.controls import record_of
from streams.demo.lag import Lag
from streams.reading import Reader, inbound
from tests.acceptance.pipeline_lab import PARTITIONS, Pipeline

LOOK_SECONDS = 0.3
"""Between two looks at how far the groups are, which they tell once a second."""


class ScriptedPipeline(Pipeline):
    """Workers by role, or `<role>-<slot>` where it is not the first one."""

    def __init__(self, *, sms_rate: str, **options: Any) -> None:
        super().__init__(**options)
        self.environment["SMS_RATE"] = sms_rate
        self._told: defaultdict[str, list[Receipt]] = defaultdict(list)
        self._sorted = 0

    def start(self, role: str, *, prepare: Prepare = as_it_is) -> None:
        name, _, slot = role.partition("-")
        worker: Any = WorkerProcess(
            [name, "--slot", slot or "0", "--once"],
            environment=self.environment,
            log=self.log_of(role),
            prepare=prepare,
        )
        self.workers[role] = worker

    def log_of(self, role: str) -> Path:
        return self.folder / f"{role}.log"

    @property
    def told(self) -> Mapping[str, Sequence[Receipt]]:
        """The receipts by notification."""
        for receipt in self.receipts[self._sorted :]:
            self._told[receipt.notification_id].append(receipt)
            self._sorted += 1
        return self._told

    async def unsettled(self, notifications: Iterable[str], *, within_seconds: float) -> list[str]:
        """Those that are not settled when the time is over, or unknown."""
        left = set(notifications)

        def are_settled() -> bool:
            told = self.told
            left.difference_update([each for each in left if is_settled(told[each])])
            return not left

        await self.until(are_settled, within_seconds=within_seconds)
        return sorted(left)

    async def until_all_is_read(self) -> None:
        """Until no role has anything left to read that was written before."""
        connection, names = self.config.kafka.connection(), self.config.kafka.names
        admin = AIOKafkaAdminClient(**connection)
        lag = Lag(connection=connection, names=names)
        await admin.start()
        await lag.start()
        try:
            unheard, quiet = set(self._roles), 0
            while unheard or quiet < 2:  # twice, since what the one writes, the other reads
                await asyncio.sleep(LOOK_SECONDS)
                for role in list(unheard):
                    with contextlib.suppress(KafkaError):  # a group that nobody has joined yet
                        if await admin.list_consumer_group_offsets(names.group(role)):
                            unheard.remove(role)
                if not unheard:
                    quiet = 0 if await lag.waiting() else quiet + 1
        finally:
            await lag.close()
            await admin.close()

    async def records(self, topic: str) -> list[InboundRecord]:
        """What is committed on a topic, in the order of partition and offset."""
        connection, names = self.config.kafka.connection(), self.config.kafka.names
        places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        async with Reader(names=names, connection=connection) as reader:
            return [
                inbound(place, record)
                for place, end in (await reader.ends(places)).items()
                async for chunk in reader.read(place, 0, end)
                for record in chunk
            ]

    async def put(
        self, topic: str, said: Mapping[str, Any], *, partition: int | None = None
    ) -> None:
        """In the partition of its user, unless another is named."""
        user_id: str = said["user_id"]
        if partition is None:
            partition = ids.partition_of(user_id, PARTITIONS)
        value = json.dumps(said).encode()
        await self.append(topic, value, partition=partition, key=user_id.encode())

    async def request(
        self,
        user: str,
        kind: str,
        *,
        key: str,
        topic: str = topics.REQUESTED["normal"],
        partition: int | None = None,
        **said: Any,
    ) -> str:
        """Ask for one notification; its id, as receipts tell it."""
        request = {"user_id": user, "type": kind, "idempotency_key": key, **said}
        await self.put(topic, request, partition=partition)
        return ids.to_text(ids.notification_id(said.get("tenant", ""), user, key))

    async def broadcast(self, said: Mapping[str, Any], *, partition: int = 0) -> None:
        value = json.dumps(said).encode()
        await self.append(topics.BROADCASTS_REQUESTED, value, partition=partition)

    async def control(self, action: Literal["pause", "resume"], scope: Scope, name: str) -> None:
        now_ms = time.time_ns() // 1_000_000
        record = record_of(action, scope, name, reason=None, now_ms=now_ms, partitions=PARTITIONS)
        await self.append(record.topic, record.value, partition=record.partition, key=record.key)

    async def faults(self, *rules: FaultRule) -> list[int]:
        """Put rules in force at the sandbox; their ids."""
        answer = await self._page("POST", "faults", list(rules))
        in_force: list[int] = answer["ids"]
        return in_force

    async def no_faults(self, rules: Sequence[int]) -> None:
        for each in rules:
            await self._page("DELETE", f"faults/{each}")

    async def listen(self, provider: str, *, is_open: bool) -> None:
        """Close the provider's port, or open it again."""
        await self._page("PUT", f"listeners/{provider}", {"open": is_open})

    async def _page(self, method: str, path: str, said: object = None) -> Any:
        url = f"{self.sandbox.announcement['page']}/_sandbox/{path}"
        async with (
            aiohttp.ClientSession(raise_for_status=True) as session,
            session.request(method, url, data=msgspec.json.encode(said)) as answer,
        ):
            return await answer.json()


def is_settled(receipts: Iterable[Receipt]) -> bool:
    """These tell of deliveries, and of none of them is anything to follow."""
    by_delivery: defaultdict[str, list[Receipt]] = defaultdict(list)
    for receipt in receipts:
        if receipt.kind == "delivery":
            by_delivery[receipt.delivery_id].append(receipt)
    states = [fold(None, said) for said in by_delivery.values()]
    return bool(states) and all(
        state is not None and (state.status == "sent" or state.is_final) for state in states
    )


def where(opened: ScriptedPipeline, notifications: Iterable[str]) -> str:
    """How these stand, in words."""
    last = (opened.told[each][-1:] for each in notifications)
    return str(
        Counter(
            (said[0].channel, said[0].type, said[0].status, said[0].reason) if said else "unknown"
            for said in last
        )
    )


@contextlib.asynccontextmanager
async def scripted(
    bootstrap: str, folder: Path, *, sms_rate: str = "500/s", **options: Any
) -> AsyncIterator[ScriptedPipeline]:
    """With an ordinary worker of each role. `options`: as of `Pipeline`."""
    opened = ScriptedPipeline(bootstrap=bootstrap, folder=folder, sms_rate=sms_rate, **options)
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()
