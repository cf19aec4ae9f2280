"""A transaction of which the broker commits a part, and gives up the rest."""

import signal
from collections.abc import Iterator

from aiokafka.client import AIOKafkaClient

from proof.checker.verdict import Violation
from proof.faults.base import PROMISE, Fault, Field
from proof.load.plan import LoadPlan
from proof.tearing import OpenTransaction, Tearer
from proof.workers import Slot

_TOLD = "a transaction was torn"
_IN_TWO = 2
"""What is appended to one place only cannot be torn."""


class Torn(Fault):
    name = "torn"
    does = (
        "a worker is stopped in the middle of a transaction; one place of it is committed, the "
        "rest given up, and the worker goes on"
    )
    expects = "nothing lost, nothing doubled, nothing in doubt, no worker ends; it is told"
    least_blows = 3

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=60.0)

    async def strike(self, field: Field) -> None:
        client = AIOKafkaClient(**field.stage.config.kafka.connection())
        await client.bootstrap()
        try:
            tearer = Tearer(client)
            while await field.wait(0.0, 0.2):
                slot = await field.victim()
                # What was just torn is written again, and is not to be torn then, too.
                if slot and await self._tear_one(field, tearer, slot):
                    await field.wait(3.0, 5.0)
        finally:
            await client.close()

    async def _tear_one(self, field: Field, tearer: Tearer, slot: Slot) -> bool:
        config = field.stage.config
        ids = [
            config.kafka.names.transactional_id(slot.role, each)
            for each in range(config.partitions)
        ]
        field.workers.send(slot, signal.SIGSTOP)
        try:
            for each in await tearer.open_transactions(ids):
                if await self._tear(field, tearer, slot, each):
                    return True
            return False
        finally:
            field.workers.send(slot, signal.SIGCONT)

    async def _tear(
        self, field: Field, tearer: Tearer, slot: Slot, transaction: OpenTransaction
    ) -> bool:
        begun = await tearer.begun_in(transaction)
        if len(begun) < _IN_TWO:
            return False
        place = field.random.choice(sorted(begun))
        field.stage.note_told_blow(slot.role, "torn", None)
        is_torn = await tearer.commit_in(transaction, place, begun[place])
        await tearer.give_up(transaction)
        return is_torn

    def judge(self, field: Field) -> Iterator[Violation]:
        yield from super().judge(field)
        told = sum(field.log_of(slot).count(_TOLD) for slot in field.stage.slots)
        field.notes.append(f"{told} of {len(field.blows)} were told as torn")
        if not told:
            yield Violation(PROMISE, "no worker has told that a transaction was torn")
