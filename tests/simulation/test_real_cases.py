"""Corner cases of the real topology that chance would take long to find."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from schemas import ids, topics
from schemas.dead_letter import DeadLetter, decode_dead_letter
from schemas.instants import rfc3339
from schemas.kafka import Record, TopicPartition
from schemas.receipt import Receipt, decode_receipt
from streams.engine.ports import Transaction
from streams.engine.runner import RunnerSettings
from streams.letters.replaying import PutBack, Replay
from streams.topology import DECIDE
from tests.simulation.checker import complaints
from tests.simulation.evidence import Evidence, gather
from tests.simulation.loop import START_MS
from tests.simulation.process import Notes, Process
from tests.simulation.real import PARTITIONS, RealWorld
from tests.simulation.speaking import USERS
from tests.simulation.traffic import Traffic

Story = Callable[[], Awaitable[None]]
REQUESTED = topics.REQUESTED["normal"]


class Stage:
    """A world in which everything goes well, but for what a test makes happen."""

    def __init__(self, seed: int = 0) -> None:
        self.world = RealWorld(seed=seed)
        moods = self.world.carrier.moods
        moods.throttles = moods.refuses = moods.rejects = 0.0
        moods.loses_request = moods.loses_reply = 0.0
        self.traffic = Traffic(self.world)
        self.traffic.speaker.misplaced_share = 0.0

    def play(self, story: Story, *, is_introduced: bool = True) -> Evidence:
        async def told() -> None:
            if is_introduced:
                await self.traffic.introduce()
                await self.world.rest()
            await story()
            await self.world.rest(4000.0, hurries=True)

        self.world.play(told())
        assert self.world.notes.errors == []
        assert self.world.carrier.zombie_calls == 0
        found = gather(self.world)
        assert complaints(found) == []
        return found

    async def ask(self, user: str, kind: str, *channels: str, topic: str = "", **said: Any) -> None:
        request = {"user_id": user, "type": kind, "data": {"number": "1"}, **said}
        if channels:
            request["channels"] = channels
        await self.traffic.request(request, topic=topic or REQUESTED)

    def owner(self, role: str, partition: int) -> Process:
        """Who has the partition now."""
        return next(
            process
            for process in self.world.processes
            if process.role == role
            and any(each.number == partition for each in process.runner.partitions)
        )

    def restart(self, role: str) -> None:
        for process in self.world.processes:
            if process.role == role:
                process.terminate()

    async def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        until = self.world.loop.time() + seconds
        while not condition():
            assert self.world.loop.time() < until, "it did not come true"
            await asyncio.sleep(0.0005)


def told(found: Evidence, channel: str = "") -> list[tuple[str, str]]:
    """(status, reason) of the deliveries' receipts, as they were written."""
    return [
        (each.status, each.reason)
        for each in sorted(found.receipts, key=lambda each: each.occurred_at)
        if each.kind == "delivery" and channel in ("", each.channel)
    ]


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


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("misplaced_share", [0.0, 1.0])
def test_a_phone_that_goes_there_and_back_again_is_with_its_last_holder(
    order: tuple[int, ...], misplaced_share: float
) -> None:
    stage = Stage(seed=sum(place * each for place, each in enumerate(order)))
    stage.traffic.speaker.misplaced_share = misplaced_share
    anna, bob = "u0", "u3"  # neither has another device

    async def story() -> None:
        registrations = [(user, START_MS + at) for at, user in enumerate((anna, bob, anna))]
        for place in order:
            user, at_ms = registrations[place]
            await stage.traffic.register(user, "phone", "token", at_ms=at_ms)
        await stage.world.rest()
        for user in (anna, bob):
            await stage.ask(user, "offer", "push")

    found = stage.play(story)

    holders = {
        user for user, known in found.profiles.items() if known.devices and user in (anna, bob)
    }
    assert holders == {anna}
    assert [each.message.user_id for each in found.acceptances] == [anna]


def test_a_delivery_on_its_way_to_a_phone_that_was_sold_is_stopped() -> None:
    stage = Stage()
    seller, buyer = "u0", "u3"

    async def story() -> None:
        await stage.traffic.register(seller, "phone", "token")
        await stage.world.rest()
        await stage.traffic.control("pause", "channel", "push")
        await asyncio.sleep(1.0)
        await stage.ask(seller, "offer", "push")
        await asyncio.sleep(1.0)
        await stage.traffic.register(buyer, "phone", "token")
        await asyncio.sleep(1.0)
        await stage.traffic.control("resume", "channel", "push")

    found = stage.play(story)

    assert found.acceptances == []
    assert told(found)[-1] == ("suppressed", "address_gone")


def test_a_dead_letter_put_back_twice_is_sent_once_as_the_next_round() -> None:
    stage = Stage()
    world = stage.world

    async def story() -> None:
        world.carrier.moods.refuses = 1.0
        await stage.ask("u2", "offer", "email")
        await world.rest(1000.0, hurries=True)
        (letter,) = _letters(world)
        assert letter.cause == "attempts_exhausted"
        world.carrier.moods.refuses = 0.0
        for pause_seconds in (0.0, 5.0):
            await asyncio.sleep(pause_seconds)
            replay = Replay(ingress=topics.REQUESTED.values(), now_ms=world.loop.now_ms())
            back = replay.of(letter)
            assert isinstance(back, PutBack)
            await world.produce(back.record)

    found = stage.play(story)

    assert [each.message.round for each in found.acceptances] == [1]
    ends = [(each.round, each.status) for each in found.receipts if _is_end(each)]
    assert sorted(ends) == [(0, "failed"), (1, "sent")]


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


def test_what_retention_takes_from_a_sleeping_worker_is_told_and_the_rest_is_decided() -> None:
    stage = Stage()
    world = stage.world
    place = TopicPartition(REQUESTED, ids.partition_of("u2", PARTITIONS))

    async def story() -> None:
        await stage.ask("u2", "invoice", "email")
        await world.rest()
        sleeper = stage.owner(DECIDE, place.partition)
        world.loop.suspend(sleeper.domain)
        for _ in range(3):
            await stage.ask("u2", "invoice", "email")
        world.broker.remove(place, 3)
        world.withdrawn = {0, 1, 2}
        world.loop.wake(sleeper.domain)

    found = stage.play(story)

    assert world.notes.lost == [(place, 1, 3)]
    assert len(found.acceptances) == 2


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_topic_that_was_made_anew_is_read_from_its_beginning(is_restarted: bool) -> None:
    stage = Stage()
    world = stage.world

    async def story() -> None:
        for _ in range(3):
            await stage.ask("u2", "invoice", "email")
        await world.rest()
        place = TopicPartition(REQUESTED, ids.partition_of("u2", PARTITIONS))
        world.broker.recreate(place)
        world.withdrawn = {0, 1, 2}
        await stage.ask("u2", "digest")
        if is_restarted:
            stage.restart(DECIDE)

    found = stage.play(story)

    assert REQUESTED in {place.topic for place in world.notes.recreated}
    assert [each.message.user_id for each in found.acceptances] == ["u2"] * 4
    assert len({each.message.notification_id for each in found.acceptances}) == 4


@pytest.mark.parametrize("seed", range(10))
def test_an_opt_out_counts_when_it_and_a_request_both_wait_at_the_start(seed: int) -> None:
    stage = Stage(seed)
    world = stage.world
    at = rfc3339(START_MS - 1000)
    known = {"user_id": "u2", "occurred_at": at}
    email_off = {"email": {"enabled": False}}
    backlog: list[tuple[str, dict[str, Any]]] = [
        (topics.RECIPIENTS_CHANGED, known | {
            "change": "recipient_updated", "source": "producer", "email": "u2@example.org"}),
        (REQUESTED, {"user_id": "u2", "type": "offer", "data": {"number": "1"}}),
        (topics.RECIPIENTS_CHANGED, known | {
            "change": "preferences_updated", "source": "user", "preferences": email_off}),
    ]  # fmt: skip

    async def story() -> None:
        for topic, said in backlog:
            partition = ids.partition_of("u2", PARTITIONS)
            value = json.dumps(stage.traffic.numbered(said) if topic == REQUESTED else said)
            world.broker.append(Record(topic, partition, value.encode()))

    found = stage.play(story, is_introduced=False)

    assert found.acceptances == []
    assert told(found, "email")[-1][0] in ("rejected", "suppressed")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("recipient_updated", {"email": "moved@example.org"}),
        ("preferences_updated", {"preferences": {"email": {"enabled": False}}}),
    ],
    ids=["another mailbox", "an opt-out that a producer brings"],
)
def test_what_waits_behind_a_long_backlog_counts_for_a_request_that_is_decided_before_it(
    change: str, said: dict[str, Any]
) -> None:
    stage = Stage()
    world = stage.world
    partition = ids.partition_of("u2", PARTITIONS)
    places = [TopicPartition(topic, partition) for topic in (topics.RECIPIENTS_CHANGED, REQUESTED)]

    async def story() -> None:
        sleepers = [each for each in world.processes if each.role == DECIDE]
        for each in sleepers:
            world.loop.suspend(each.domain)
        for number in range(150):  # more than one fetch brings
            await stage.traffic.change(
                "u2", "recipient_updated", source="producer", locale=("en", "de")[number % 2]
            )
        await stage.traffic.change("u2", change, source="producer", **said)
        await stage.ask("u2", "offer", "email")
        await asyncio.sleep(15.0)  # longer than clocks may differ
        for each in sleepers:
            world.loop.wake(each.domain)

    found = stage.play(story)

    assert all(world.broker.log(place).end for place in places)
    assert found.acceptances == []
    assert told(found)[-1][0] == "suppressed"


def test_workers_that_were_down_for_30_hours_lose_nothing_and_send_only_what_is_still_wanted() -> (
    None
):
    """Kafka and the outside go on meanwhile; a call that was open when they fell is in doubt."""
    stage = Stage()
    world, moods = stage.world, stage.world.carrier.moods
    hour_ms = 3_600_000

    async def story() -> None:
        moods.loses_reply = 1.0
        await stage.ask("u2", "buzz", ttl_seconds=172_800)
        await stage.until(lambda: bool(world.carrier.accepted))
        for process in world.processes:
            world.retire(process.slot)
            process.die(None)
        moods.loses_reply = 0.0

        in_ten_hours = rfc3339(world.loop.now_ms() + 10 * hour_ms)
        await stage.ask("u2", "code", ttl_seconds=600)
        for _ in range(2):
            await stage.ask("u2", "offer", "email", idempotency_key="k", ttl_seconds=172_800)
        await stage.ask("u5", "note", send_at=in_ten_hours, ttl_seconds=172_800)
        await stage.ask("u5", "invoice", "email")
        world.loop.set_clocks(by_ms=20 * hour_ms)
        await stage.ask("u2", "offer", "email", idempotency_key="k", ttl_seconds=172_800)
        world.loop.set_clocks(by_ms=10 * hour_ms)
        await stage.traffic.wish("u5", "push", enabled=False)
        await stage.ask("u5", "buzz")
        for role in world.roles:
            world.start(role, f"{role}-0")

    found = stage.play(story)

    fates = Counter(
        (each.user_id, each.type, each.status, each.reason)
        for each in found.receipts
        if each.status != "queued"
    )
    assert fates == {
        ("u2", "buzz", "in_doubt", "outcome_lost"): 2,  # a device each
        ("u2", "code", "expired", "ttl"): 1,
        ("u2", "offer", "duplicate", ""): 1,
        ("u2", "offer", "sent", ""): 2,  # twenty hours later the key was free again
        ("u5", "note", "sent", ""): 1,
        ("u5", "invoice", "expired", "ttl"): 1,
        ("u5", "buzz", "suppressed", "opted_out_channel"): 1,
    }


def test_a_clock_that_is_set_forward_lets_nobody_exceed_a_carriers_rate() -> None:
    stage = Stage()
    world = stage.world

    async def story() -> None:
        await asyncio.sleep(2.0)  # all tokens are there
        for user in USERS[:8]:
            await stage.ask(user, "code")
        await stage.until(lambda: len(world.carrier.accepted) == 8)
        for number in range(2):
            world.clock_of(f"sms-{number}").set(by_ms=8_000)
        for user in USERS[:8]:
            await stage.ask(user, "code")

    found = stage.play(story)

    assert len(found.acceptances) == 16


@pytest.mark.parametrize("channel", ["email", "in_app"])
def test_an_opt_out_behind_an_open_transaction_holds_deliveries_back_until_it_is_read(
    channel: str,
) -> None:
    stage = Stage()
    world = stage.world

    async def story() -> None:
        # A producer of its own that died inside a transaction hides what lies behind its record.
        epoch = world.broker.init_producer("stranger")
        partition = ids.partition_of("u2", PARTITIONS)
        hiding = Record(topics.RECIPIENTS_CHANGED, partition, b"{}")
        world.broker.transact("stranger", epoch, [hiding])
        await stage.traffic.wish("u2", channel, enabled=False)
        await asyncio.sleep(6.0)  # the tails are no longer fresh
        await stage.ask("u2", "offer", channel)
        await asyncio.sleep(2.0)
        assert told_now(world) == ["queued"], "decided without it, and held back by the sender"

    found = stage.play(story)

    assert told(found) == [("queued", ""), ("suppressed", "opted_out_channel")]


def told_now(world: RealWorld) -> list[str]:
    return [decode_receipt(each).status for each in world.committed_records(topics.RECEIPTS)]


def _letters(world: RealWorld) -> list[DeadLetter]:
    return [decode_dead_letter(each) for each in world.committed_records(topics.DEAD_LETTERS)]


def _is_end(receipt: Receipt) -> bool:
    return receipt.is_final or receipt.status == "sent"
