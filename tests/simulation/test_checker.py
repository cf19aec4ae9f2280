"""The checker itself: for every promise a planted fault that it must find."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import msgspec
import pytest

from channels.base import EmailContent
from schemas.profile import NO_WISHES
from schemas.receipt import Receipt
from tests.simulation.carrier import Acceptance
from tests.simulation.checker import STOP_MS, complaints
from tests.simulation.evidence import Evidence, Said, gather
from tests.simulation.real import RealWorld
from tests.simulation.traffic import Traffic

SEEDS = (5, 7)
"""Of worlds; not every fault shows in each, whatever was lost may have been about something else."""


@cache
def _played(seed: int) -> RealWorld:
    world = RealWorld(seed=seed)
    traffic = Traffic(world)

    async def talk() -> None:
        await traffic.run(80)
        await world.rest(4000.0)

    world.play(talk())
    return world


@pytest.fixture
def worlds() -> list[Evidence]:
    """In which nothing went wrong; each test has its own to spoil."""
    return [gather(_played(seed)) for seed in SEEDS]


def sent(found: Evidence, channel: str = "email", *, type_name: str = "") -> Receipt:
    return next(
        each
        for each in found.receipts
        if each.status == "sent"
        and each.channel == channel
        and (not type_name or each.type == type_name)
    )


def acceptance_of(found: Evidence, receipt: Receipt) -> Acceptance:
    return next(
        each
        for each in found.acceptances
        if each.message.delivery_id.hex() == receipt.delivery_id.replace("-", "")
    )


def lose_an_end(found: Evidence) -> None:
    found.receipts.remove(sent(found))


def lose_a_whole_request(found: Evidence) -> None:
    lost = sent(found).notification_id
    found.receipts = [each for each in found.receipts if each.notification_id != lost]


def end_twice(found: Evidence) -> None:
    failed = msgspec.structs.replace(
        sent(found), receipt_id="other", status="failed", is_final=True
    )
    found.receipts.append(failed)


def send_twice(found: Evidence) -> None:
    found.acceptances.append(acceptance_of(found, sent(found)))


def send_what_holds_twice_in_doubt(found: Evidence) -> None:
    receipt = sent(found, type_name="invoice")
    found.acceptances.append(acceptance_of(found, receipt))
    found.receipts.append(
        msgspec.structs.replace(receipt, receipt_id="other", status="in_doubt", is_final=False)
    )


def say_sent_of_what_was_not(found: Evidence) -> None:
    found.acceptances.remove(acceptance_of(found, sent(found)))


def send_without_a_word(found: Evidence) -> None:
    receipt = sent(found)
    found.receipts[found.receipts.index(receipt)] = msgspec.structs.replace(
        receipt, status="failed", is_final=True
    )


def _replace_message(found: Evidence, **what: Any) -> None:
    call = acceptance_of(found, sent(found))
    message = msgspec.structs.replace(call.message, **what)
    found.acceptances[found.acceptances.index(call)] = replace(call, message=message)


def send_to_somebody_else(found: Evidence) -> None:
    _replace_message(found, address="somebody@example.org")


def send_something_else(found: Evidence) -> None:
    _replace_message(found, content=EmailContent("another", "thing"))


def send_what_nobody_knows_of(found: Evidence) -> None:
    _replace_message(found, delivery_id=bytes(16))


def tell_of_what_nobody_asked_for(found: Evidence) -> None:
    receipt = sent(found)
    stranger = {"delivery_id": "other", "receipt_id": "other", "metadata": {"intent": 1 << 40}}
    found.receipts.append(msgspec.structs.replace(receipt, **stranger))


def tell_a_wrong_rank(found: Evidence) -> None:
    place = next(at for at, each in enumerate(found.receipts) if each.status == "queued")
    found.receipts[place] = msgspec.structs.replace(found.receipts[place], state_rank=9)


def refuse_without_a_reason(found: Evidence) -> None:
    receipt = sent(found)
    refused = {"status": "suppressed", "reason": "opted_out_channel", "is_final": True}
    found.receipts[found.receipts.index(receipt)] = msgspec.structs.replace(receipt, **refused)


def tell_a_fact_twice(found: Evidence) -> None:
    found.receipts.append(next(each for each in found.receipts if each.status == "queued"))


def decide_a_repeat(found: Evidence) -> None:
    found.receipts.remove(next(each for each in found.receipts if each.status == "duplicate"))


def forget_a_member(found: Evidence) -> None:
    receipt = next(each for each in found.receipts if each.broadcast_id)
    found.receipts = [each for each in found.receipts if each.delivery_id != receipt.delivery_id]


def reach_somebody_else(found: Evidence) -> None:
    receipt = next(each for each in found.receipts if each.broadcast_id)
    found.receipts.append(
        msgspec.structs.replace(
            receipt, receipt_id="other", delivery_id="other", user_id="nobody",
            status="suppressed", is_final=True,
        )
    )  # fmt: skip


def _said_before_a_call(
    found: Evidence, what: Callable[[Acceptance, Receipt], dict[str, object]]
) -> Said:
    receipt = sent(found, type_name="invoice")
    call = acceptance_of(found, receipt)
    return Said(("topic", 0, 0, -1), call.called_ms - STOP_MS - 1, dict(what(call, receipt)))


def send_past_an_opt_out(found: Evidence) -> None:
    found.changes = [
        _said_before_a_call(
            found,
            lambda call, receipt: {
                "change": "preferences_updated",
                "user_id": receipt.user_id,
                "source": "user",
                "occurred_at": "2025-06-15T15:06:00.000Z",
                "preferences": {"email": {"enabled": False}},
            },
        )
    ]


def send_past_a_cancellation(found: Evidence) -> None:
    """Of what had waited for longest: a cancellation from a window before its request means another."""
    requests = {
        each.notification_id: each for each in found.requests if "idempotency_key" in each.what
    }
    request, called_ms = max(
        (
            (requests[each.notification_id], acceptance_of(found, each).called_ms)
            for each in found.receipts
            if each.status == "sent"
            and each.channel == "email"
            and each.notification_id in requests
        ),
        key=lambda pair: pair[1] - pair[0].at_ms,
    )
    what = {name: request.what[name] for name in ("user_id", "idempotency_key")}
    found.cancellations.append(Said(("topic", 0, 0, -1), called_ms - STOP_MS - 1, what))


def send_through_a_pause(found: Evidence) -> None:
    paused = _said_before_a_call(
        found, lambda call, receipt: {"scope": "channel", "name": "email", "action": "pause"}
    )
    resumed = replace(paused, at_ms=1 << 60, what=paused.what | {"action": "resume"})
    found.controls = [paused, resumed]


def wake_somebody(found: Evidence) -> None:
    """Everybody wants to be left alone all day but for a minute, and said so at the beginning."""
    asleep = {channel: {"quiet_hours": "00:00-23:59"} for channel in ("email", "push")}
    found.changes += [
        Said(("topic", 0, 0, -1), 0, {
            "change": "preferences_updated", "user_id": user, "source": "user",
            "occurred_at": "2025-06-15T15:00:00.000Z", "preferences": asleep,
        })
        for user in {each.what["user_id"] for each in found.changes}
    ]  # fmt: skip


def lose_a_dead_letter(found: Evidence) -> None:
    found.letters = [each for each in found.letters if each.kind != "record"]


def lose_a_dead_letter_of_deliveries(found: Evidence) -> None:
    found.letters = [each for each in found.letters if each.kind != "deliveries"]


def bury_a_good_record(found: Evidence) -> None:
    found.rubbish.clear()


def forward_twice(found: Evidence) -> None:
    found.forwarded.update(list(found.forwarded))


def keep_what_is_misplaced(found: Evidence) -> None:
    found.forwarded.clear()


def give_up_a_fallback(found: Evidence) -> None:
    receipt = sent(found, type_name="invoice")
    found.receipts[found.receipts.index(receipt)] = msgspec.structs.replace(
        receipt, status="failed", reason="address_invalid", is_final=True
    )
    found.acceptances.remove(acceptance_of(found, receipt))


def give_up(found: Evidence) -> None:
    """What was sent, as if its provider had refused it each time."""
    receipt = sent(found, type_name="offer")
    found.receipts[found.receipts.index(receipt)] = msgspec.structs.replace(
        receipt, status="failed", reason="attempts_exhausted", is_final=True, state_rank=4
    )
    found.acceptances.remove(acceptance_of(found, receipt))


def give_up_among_calm(found: Evidence) -> None:
    give_up(found)
    found.troubles.clear()


def go_beyond_a_cap(found: Evidence) -> None:
    queued = next(
        each
        for each in found.receipts
        if each.status == "queued" and each.category == "marketing" and each.channel == "email"
    )
    found.receipts += [
        msgspec.structs.replace(queued, delivery_id=str(number), receipt_id=str(number))
        for number in range(3)
    ]


def cap_too_soon(found: Evidence) -> None:
    queued = next(
        each for each in found.receipts if each.status == "queued" and each.type == "offer"
    )
    found.receipts = [
        each
        for each in found.receipts
        if (each.user_id, each.channel) != (queued.user_id, queued.channel)
    ]
    held = {"status": "suppressed", "reason": "daily_limit", "is_final": True, "state_rank": 3}
    found.receipts.append(msgspec.structs.replace(queued, **held))


def hurry(found: Evidence) -> None:
    sender = "+15550100"
    slow = next(each for each in found.acceptances if each.message.sender == sender)
    found.acceptances += [slow] * 6


def forget_a_wish(found: Evidence) -> None:
    for user, profile in found.profiles.items():
        found.profiles[user] = msgspec.structs.replace(profile, packed_wishes=NO_WISHES)


def give_a_phone_to_two(found: Evidence) -> None:
    holder = next(each for each in found.profiles.values() if each.devices)
    user, other = next(each for each in found.profiles.items() if each[1] is not holder)
    both = (*other.devices, *holder.devices)
    found.profiles[user] = msgspec.structs.replace(other, devices=both)


def show_twice(found: Evidence) -> None:
    found.inbox.append(found.inbox[0])


def show_nothing(found: Evidence) -> None:
    found.inbox.clear()


FAULTS = {
    lose_an_end: "L1 email, round 0 never ended",
    lose_a_whole_request: "L1 nothing was ever said of a request",
    end_twice: "L1 email, round 0 ended 2 times: ['sent', 'failed']",
    send_twice: "L3 accepted 2 times, told in doubt 0 times",
    send_what_holds_twice_in_doubt: "L3 accepted 2 times, though its type holds",
    say_sent_of_what_was_not: "L1 said to be sent, and no provider has it",
    send_without_a_word: "L1 a provider has it, and nobody says so",
    send_to_somebody_else: "L2 sent to somebody@example.org, never theirs",
    send_something_else: "L2 another content than was asked for",
    send_what_nobody_knows_of: "L2 email-one took a message that no receipt speaks of",
    tell_of_what_nobody_asked_for: "which nobody asked for",
    tell_a_fact_twice: "was written 2 times",
    tell_a_wrong_rank: "L7 queued is told as of rank 9",
    decide_a_repeat: "L1 nothing was ever said of a request",
    refuse_without_a_reason: "ended suppressed opted_out_channel, expected",
    forget_a_member: "was forgotten by",
    reach_somebody_else: "L2 nobody was not meant",
    send_past_an_opt_out: "L4 reached at",
    send_past_a_cancellation: "was called off",
    send_through_a_pause: "channel:email was paused",
    wake_somebody: "L6 reached at",
    lose_a_dead_letter: "L8 rubbish without a dead letter",
    lose_a_dead_letter_of_deliveries: "L8 failed template_error, and no dead letter holds it",
    bury_a_good_record: "L8 a dead letter of a good record",
    forward_twice: "forwarded 2 times",
    keep_what_is_misplaced: "misplaced and not forwarded",
    give_up_a_fallback: "and no fallback went on",
    give_up: "exhausted, though attempt 4 was none",
    give_up_among_calm: "L1 email, round 0 ended failed attempts_exhausted, expected",
    go_beyond_a_cap: "more than 2 marketing on one day",
    cap_too_soon: "L5 daily_limit after",
    hurry: "L5 +15550100: more than 5 within",
    forget_a_wish: "known is None",
    give_a_phone_to_two: "has 2 holders",
    show_twice: "shown 2 times",
    show_nothing: "told and not shown",
}


def test_a_world_without_faults_has_no_complaints(worlds: list[Evidence]) -> None:
    assert [complaints(found) for found in worlds] == [[]] * len(SEEDS)


@pytest.mark.parametrize(("spoil", "complaint"), FAULTS.items())
def test_a_planted_fault_is_found(
    worlds: list[Evidence], spoil: Callable[[Evidence], None], complaint: str
) -> None:
    for found in worlds:
        spoil(found)

    told = [each for found in worlds for each in complaints(found)]
    assert any(complaint in each for each in told), told
