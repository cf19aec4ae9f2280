"""What a sender makes of dead letters that are put back as their next round."""

from collections import Counter

import msgspec
import pytest

from schemas.delivery import DeliveryBatch
from tests.unit.agents.desk import Desk, batch_of

SLICE = b"slice".rjust(16, b"\x44")
NAMES = tuple(f"user-{number}" for number in range(65))  # one more than a window of calls


def next_round(batch: DeliveryBatch) -> DeliveryBatch:
    return msgspec.structs.replace(batch, round=batch.round + 1, attempt=1, call=1)


async def give_up_half_way(desk: Desk, batch: DeliveryBatch) -> None:
    """One is sent, 63 are in doubt, one was never tried: then our own error ends the batch."""
    desk.put(batch)
    await desk.turn(die_after=2)
    (item,) = desk.undone
    desk.undone = []
    desk.apply(desk.send.give_up(desk.batch(), item, "ValueError"))


@pytest.mark.parametrize("slice_id", [b"", SLICE], ids=["singles", "slice"])
async def test_a_replay_of_all_reaches_only_whom_nobody_tried_to_reach(
    desk: Desk, slice_id: bytes
) -> None:
    batch = batch_of(*NAMES, slice_id=slice_id)
    await give_up_half_way(desk, batch)
    assert Counter(status for _, status in desk.told()) == {
        "sent": 1, "in_doubt": 63, "failed": 1
    }  # fmt: skip

    desk.put(next_round(batch))
    await desk.settle()

    again = [receipt for receipt in desk.receipts() if receipt.round == 1]
    assert [(receipt.user_id, receipt.status) for receipt in again] == [
        (name, "sent") for name in NAMES[64:]
    ]
    assert len(desk.sender.addresses()) == len(set(desk.sender.addresses()))


@pytest.mark.parametrize("slice_id", [b"", SLICE], ids=["singles", "slice"])
async def test_every_earlier_round_is_remembered(desk: Desk, slice_id: bytes) -> None:
    batch = batch_of(*NAMES, slice_id=slice_id)
    await give_up_half_way(desk, batch)
    desk.put(next_round(batch))
    await desk.settle()
    calls = len(desk.sender.calls)

    desk.put(next_round(next_round(batch)))
    await desk.settle()

    assert len(desk.sender.calls) == calls


async def test_an_intent_that_an_earlier_round_left_is_in_doubt(desk: Desk) -> None:
    batch = batch_of(*NAMES[:3], slice_id=SLICE)
    desk.put(batch)
    await desk.turn(die_after=2)
    desk.undone = []  # not even giving up could be written

    desk.put(next_round(batch))
    await desk.settle()

    assert [(receipt.user_id, receipt.status, receipt.round) for receipt in desk.receipts()] == [
        ("user-0", "sent", 0), ("user-1", "in_doubt", 1), ("user-2", "in_doubt", 1)
    ]  # fmt: skip
    assert len(desk.sender.calls) == 1
