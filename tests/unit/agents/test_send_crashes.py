"""What a sender leaves behind when it dies at any yield, drains, or reads something twice."""

from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.stage import Effects, Item
from channels.rendering import Rendering
from schemas.dead_letter import decode_dead_letter
from schemas.delivery import DeliveryBatch
from schemas.outcome import (
    Accepted,
    AddressInvalid,
    Misconfigured,
    NotProcessed,
    Outcome,
    Rejected,
    Unknown,
)
from schemas.topics import DEAD_LETTERS
from tables.state import Kind
from tests.unit.agents.desk import Desk, batch_of, body_of

SLICE = b"slice".rjust(16, b"\x44")
REFUSED = NotProcessed(consumes_attempt=True, reason="unreachable")
NAMES = ("ann", "bob", "cat")


@pytest.mark.parametrize("slice_id", [b"", SLICE], ids=["singles", "slice"])
async def test_dying_before_the_intent_is_durable_leaves_nothing_in_doubt(
    desk: Desk, slice_id: bytes
) -> None:
    desk.put(batch_of(*NAMES, slice_id=slice_id))

    await desk.turn(die_after=0, is_last_lost=True)
    assert desk.sender.calls == []
    await desk.settle()

    assert desk.told() == [(name, "sent") for name in NAMES]


@pytest.mark.parametrize("slice_id", [b"", SLICE], ids=["singles", "slice"])
async def test_dying_between_intent_and_outcome_leaves_in_doubt_just_those_without_outcome(
    desk: Desk, slice_id: bytes
) -> None:
    desk.put(batch_of(*NAMES, slice_id=slice_id))

    await desk.turn(die_after=2)  # the intents, and the outcome of the first call
    await desk.settle()

    assert sorted(desk.told()) == [("ann", "sent"), ("bob", "in_doubt"), ("cat", "in_doubt")]
    assert [r.reason for r in desk.receipts() if r.status == "in_doubt"] == ["outcome_lost"] * 2
    assert desk.sender.addresses() == ["ann"], "nothing is called twice"


async def test_an_answer_that_was_never_recorded_is_asked_for_again_where_the_type_resends(
    desk: Desk,
) -> None:
    desk.put(batch_of("ann", body=body_of("code")))

    await desk.turn(die_after=1, is_last_lost=True)
    await desk.settle()

    assert desk.sender.addresses() == ["ann", "ann"]
    assert [(r.status, r.reason, r.attempt) for r in desk.receipts()] == [
        ("in_doubt", "outcome_lost", 1), ("sent", "", 2)
    ]  # fmt: skip


async def test_dying_in_a_retry_leaves_its_schedule_row_until_the_outcome(desk: Desk) -> None:
    desk.put(batch_of("ann"))
    desk.sender.tell("ann", REFUSED)
    await desk.turn()
    desk.clock.advance(ms=30_000)

    await desk.turn(die_after=1)
    assert len(desk.waiting()) == 1, "an intent does not finish the row"
    await desk.settle()

    assert desk.told() == [("ann", "deferred"), ("ann", "in_doubt")]
    assert desk.sender.addresses() == ["ann"]


async def test_calls_that_a_drain_kept_from_starting_go_on_elsewhere_as_the_same_attempt(
    desk: Desk,
) -> None:
    desk.put(batch_of(*NAMES, slice_id=SLICE))
    desk.is_draining = True
    await desk.turn()
    assert desk.sender.calls == []
    assert {(w.attempt, w.call) for w in desk.waiting()} == {(1, 2)}

    desk.is_draining = False
    await desk.settle()

    assert sorted(desk.told()) == [(name, "sent") for name in NAMES]
    assert {r.attempt for r in desk.receipts()} == {1}


async def test_a_call_cut_off_by_the_drains_bound_is_in_doubt(desk: Desk) -> None:
    desk.put(batch_of("ann"))
    desk.sender.tell("ann", Unknown(reason="cut_off"))

    await desk.turn()

    assert [(r.status, r.reason) for r in desk.receipts()] == [("in_doubt", "cut_off")]


async def test_a_dead_letter_replayed_twice_is_sent_once(desk: Desk) -> None:
    desk.put(batch_of(*NAMES, slice_id=SLICE))
    desk.sender.tell("bob", *[REFUSED] * 4)
    await desk.settle()
    (record,) = [r for r in desk.records if r.topic == DEAD_LETTERS]
    dead = decode_dead_letter(record.value or b"").batch()
    again = msgspec.structs.replace(dead, round=dead.round + 1, attempt=1, call=1)
    calls_before = len(desk.sender.calls)

    desk.put(again)
    await desk.settle()
    desk.put(again)
    await desk.settle()

    assert len(desk.sender.calls) == calls_before + 1
    assert [(r.status, r.round) for r in desk.receipts()][-1] == ("sent", 1)


async def test_a_copy_of_what_is_being_sent_is_left_to_the_first(desk: Desk) -> None:
    first, copy = batch_of("ann"), batch_of("ann")
    desk.put(first)
    generator = desk.send.handle(desk.batch())
    desk.apply(await anext(generator))  # its intent is durable, its call not made yet

    (item,) = desk.undone
    desk.undone = []
    desk.put(copy)
    await desk.turn()
    desk.undone = [item]
    async for effects in generator:
        desk.apply(effects)

    assert desk.told() == [("ann", "sent")]
    assert desk.sender.addresses() == ["ann"]


async def test_a_record_that_is_behind_its_own_retry_leaves_it_alone(desk: Desk) -> None:
    desk.put(batch_of("ann", "bob"))
    desk.sender.tell("ann", REFUSED)
    await desk.turn(die_after=2)  # the record is not done: bob has no outcome yet
    desk.clock.advance(ms=40_000)
    record, desk.undone = desk.undone, []
    await desk.turn(die_after=1)  # ann's second call has its intent

    desk.undone = record
    await desk.settle()

    assert desk.told() == [("ann", "deferred"), ("bob", "in_doubt"), ("ann", "in_doubt")]
    assert [r.attempt for r in desk.receipts()] == [1, 1, 2]


async def test_more_than_fits_one_yield_is_worked_on_in_groups(desk: Desk) -> None:
    slices = [
        batch_of(*(f"{letter}{number}" for number in range(900)), slice_id=letter.encode() * 16)
        for letter in "abcde"
    ]
    desk.put(*slices)
    desk.clock.advance(seconds=86_400)

    applied = await desk.turn()

    assert [len(effects.done) for effects in applied] == [2, 2, 1]
    assert len(desk.receipts()) == 4500


async def test_giving_up_tells_every_delivery_its_end(desk: Desk) -> None:
    desk.put(batch_of(*NAMES, slice_id=SLICE))
    await desk.turn(die_after=1)
    (item,) = desk.undone
    desk.put(batch_of("dan"))

    for each in (item, desk.undone[1]):
        desk.apply(desk.send.give_up(desk.batch(), each, "ValueError"))

    assert desk.told() == [(name, "in_doubt") for name in NAMES] + [("dan", "failed")]
    assert {r.reason for r in desk.receipts()} == {"stage_error"}
    await desk.turn()
    assert desk.sender.calls == [], "the ledger knows that all is settled"


@pytest.mark.parametrize("slice_id", [b"", SLICE], ids=["singles", "slice"])
async def test_giving_up_many_who_were_not_called_about_fails_only_the_culprit(
    desk: Desk, slice_id: bytes
) -> None:
    names = [f"user-{number}" for number in range(9)]
    desk.put(batch_of(*names, slice_id=slice_id))

    def with_culprit() -> list[Item[DeliveryBatch]]:
        return [
            item
            for item in desk.undone + desk.due()
            if any(target.user_id == "user-4" for target in item.value.targets)
        ]

    while found := with_culprit():
        (item,) = found
        owed = desk.send.give_up(desk.batch(), item, "ValueError")
        assert (item in owed.done) == (len(item.value.targets) > 1), "alone it is a dead letter"
        desk.apply(Effects(owed.rows, owed.records, [item]))
        desk.clock.advance(ms=1)
    await desk.settle()

    assert sorted(desk.told()) == [
        (name, "failed" if name == "user-4" else "sent") for name in names
    ]


OUTCOMES: st.SearchStrategy[Outcome] = st.sampled_from(
    [
        Accepted(),
        AddressInvalid(),
        Rejected(),
        NotProcessed(retry_after_seconds=1),
        REFUSED,
        Unknown(),
        Misconfigured(),
    ]
)
CRASHES = st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.booleans()), max_size=6)
"""After how many yields, whether the next one was reached but lost, whether it drained before."""


@settings(max_examples=150, deadline=None)
@given(
    answers=st.lists(st.lists(OUTCOMES, max_size=5), min_size=4, max_size=4),
    crashes=CRASHES,
    is_slice=st.booleans(),
    resends=st.booleans(),
    max_batch=st.sampled_from([1, 3]),
    stopped=st.none() | st.integers(0, 3),
    fallback=st.booleans(),
)
async def test_whatever_happens_each_delivery_ends_once_and_no_call_is_repeated_unreported(
    rendering: Rendering,
    answers: list[list[Outcome]],
    crashes: list[tuple[int, bool, bool]],
    is_slice: bool,
    resends: bool,
    max_batch: int,
    stopped: int | None,
    fallback: bool,
) -> None:
    desk = Desk(rendering, max_batch=max_batch)
    names = ("ann", "bob", "cat", "dan")
    body = body_of("code" if resends else "news", fallback=("sms",) if fallback else ())
    desk.put(batch_of(*names, body=body, slice_id=SLICE if is_slice else b""))
    for name, outcomes in zip(names, answers, strict=True):
        desk.sender.tell(name, *outcomes)
    if stopped is not None:
        desk.opt_out(names[stopped])

    for die_after, is_last_lost, is_draining in crashes:
        desk.is_draining = is_draining
        await desk.turn(die_after=die_after, is_last_lost=is_last_lost)
        desk.clock.advance(ms=100_000)
    desk.is_draining = False
    await desk.settle()

    receipts = desk.receipts()
    ends = Counter(r.user_id for r in receipts if r.is_final or r.status == "sent")
    assert ends == Counter(names), "each delivery has one end"
    assert len({r.receipt_id for r in receipts}) == len(receipts)
    for name, outcomes in zip(names, answers, strict=True):
        safe = sum(isinstance(each, NotProcessed | Misconfigured) for each in outcomes)
        reported = sum(r.user_id == name and r.status == "in_doubt" for r in receipts)
        assert desk.sender.addresses().count(name) <= 1 + safe + (reported if resends else 0)
    if stopped is not None:
        assert names[stopped] not in desk.sender.addresses()
    assert desk.state.count(Kind.DURABLE) == 0, "nothing is left waiting"
