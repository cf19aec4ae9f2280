"""Corner cases of the real topology: processes that sleep, stop or die."""

import asyncio
import json

import pytest

from schemas import ids, topics
from schemas.kafka import Record
from streams.engine.ports import Transaction
from streams.engine.runner import RunnerSettings
from streams.topology import DECIDE
from tests.simulation.process import Notes
from tests.simulation.real import PARTITIONS
from tests.simulation.speaking import USERS
from tests.simulation.stage import Stage, told


@pytest.mark.parametrize("role", [DECIDE, "push", "email"])
@pytest.mark.parametrize("seconds", [3.0, 8.0, 20.0])
def test_a_zombie_that_wakes_inside_a_transaction_changes_nothing(
    role: str, seconds: float
) -> None:
    stage = Stage()
    world = stage.world

    async def story() -> None:
        for user in USERS[:9]:
            await stage.ask(user, "offer")
        await stage.until(lambda: world.broker.has_open(f"{role}-0"))
        sleeper = stage.owner(role, 0)
        world.loop.suspend(sleeper.domain)
        await asyncio.sleep(seconds)
        world.loop.wake(sleeper.domain)

    found = stage.play(story)

    assert len({each.notification_id for each in found.receipts}) == 9
    assert world.deaths == (seconds > 6.0), "it has lost its partitions, unless it slept shortly"


@pytest.mark.parametrize(
    ("kind", "channel", "fate"),
    [
        ("offer", "email", [("queued", ""), ("in_doubt", "cut_off")]),
        ("code", "sms", [("queued", ""), ("in_doubt", "cut_off"), ("sent", "")]),
    ],
    ids=["a type that holds", "a type that is sent again"],
)
def test_a_call_open_at_the_end_of_a_drain_is_recorded_as_unknown(
    kind: str, channel: str, fate: list[tuple[str, str]]
) -> None:
    stage = Stage()
    stage.world.settings = RunnerSettings(max_open_calls=8, drain_seconds=2.0)
    moods = stage.world.carrier.moods

    async def story() -> None:
        moods.loses_reply = 1.0
        await stage.ask("u2", kind, channel)
        senders = [each for each in stage.world.processes if each.role == channel]
        await stage.until(lambda: any(each.runner.gate.open_calls for each in senders))
        await asyncio.sleep(0.5)
        stage.restart(channel)
        await asyncio.sleep(3.0)
        moods.loses_reply = 0.0

    found = stage.play(story)

    assert told(found) == fate
    assert len(found.acceptances) == len(fate) - 1, "one for each but that it was queued"


class Groups(Notes):
    """Remembers every transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.transactions: list[Transaction] = []

    def committed(self, partition: int, transaction: Transaction) -> None:
        self.transactions.append(transaction)


@pytest.mark.parametrize("killed_after", [None, 0.001, 0.004, 0.008, 0.012, 0.02])
def test_of_two_yields_in_one_transaction_the_second_reads_what_the_first_wrote(
    killed_after: float | None,
) -> None:
    stage = Stage()
    world = stage.world
    world.notes = groups = Groups()
    request = {
        "user_id": "u2", "type": "invoice", "channels": ["email"], "data": {"number": "1"},
        "idempotency_key": "k",
    }  # fmt: skip

    async def story() -> None:
        groups.transactions.clear()
        partition = ids.partition_of("u2", PARTITIONS)
        for topic in topics.REQUESTED.values():  # a stage runs for each of them, all at once
            value = json.dumps(stage.traffic.numbered(request)).encode()
            world.broker.append(Record(topic, partition, value))
        if killed_after is not None:
            await asyncio.sleep(killed_after)
            stage.owner(DECIDE, partition).die(None)

    found = stage.play(story)

    statuses = sorted(each.status for each in found.receipts)
    assert statuses == ["duplicate", "duplicate", "queued", "sent"]
    if killed_after is None:
        receipts = [
            sum(record.topic == topics.RECEIPTS for record in each.records)
            for each in groups.transactions
        ]
        assert max(receipts) > 1, "none were grouped: the test says nothing"


def test_a_pause_outlives_every_restart_and_holds_up_nothing_else() -> None:
    stage = Stage()
    world = stage.world

    async def story() -> None:
        await stage.traffic.control("pause", "type", "invoice")
        await asyncio.sleep(1.0)
        for user in USERS[:8]:
            await stage.ask(user, "invoice", "email")
        for _ in range(2):
            await asyncio.sleep(5.0)
            stage.restart("email")
            stage.restart(DECIDE)
        await asyncio.sleep(10.0)
        await stage.ask("u2", "digest")
        await asyncio.sleep(10.0)
        assert [each.message.user_id for each in world.carrier.accepted] == ["u2"]
        await stage.traffic.control("resume", "type", "invoice")

    found = stage.play(story)

    assert len(found.acceptances) == 1 + 8
