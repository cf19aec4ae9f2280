"""What was promised, compared with what happened. Shares no decision with what it checks.

Each check returns its complaints, a line each. A world at rest has none.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from policies.quiet_hours import is_inside, parse_span
from policies.zones import Zone
from schemas import ids
from schemas.profile import Profile, unpack_words
from schemas.receipt import Receipt
from tests.simulation.evidence import Evidence
from tests.simulation.readings import (
    accepted,
    broadcast_of,
    by_delivery,
    cancelled_at,
    choices_in,
    daily_limits,
    has_failed,
    is_end,
    is_given_up,
    is_off,
    pauses_in,
    requests_by_id,
    unit_sent,
    unit_told,
)
from tests.simulation.real import RULES, SMS_SENDERS
from tests.simulation.traffic import AUDIENCE, MEMBERS

WAKE_MS = 1_500
"""How old the last look at the clock may be when a call is made."""
STOP_MS = 6_500
"""What stops a delivery works within this: how old a tail may be, and a call that waits a moment.
A process that slept wakes with tails that are up to five seconds old."""


def complaints(found: Evidence, *, stop_ms: int = STOP_MS) -> list[str]:
    """Everything that is wrong."""
    return [
        *_unsettled(found),
        *_uncounted_repeats(found),
        *_broadcasts(found),
        *_sent_twice(found),
        *_phantoms(found),
        *_receipts_told_twice(found),
        *_stopped_too_late(found, stop_ms),
        *_woken(found),
        *_letters(found),
        *_misplaced(found),
        *_fallbacks(found),
        *_too_many(found),
        *_too_fast(found),
        *_profiles(found),
        *_inboxes(found),
    ]


def _unsettled(found: Evidence) -> Iterator[str]:
    """Nothing is lost: every channel of an accepted request ends, once."""
    told = by_delivery(found)
    known = {(each.notification_id, each.channel) for each in found.receipts}
    for request in accepted(found):
        for channel in request.what.get("channels") or RULES.types[request.what["type"]].channels:
            if (request.notification_id, channel) not in known:
                yield f"{request.place} {channel}: nothing was ever said of it"
    for delivery, receipts in told.items():
        yield from _ends_once(delivery, receipts)


def _ends_once(delivery: str, receipts: Sequence[Receipt]) -> Iterator[str]:
    devices = {each.device_id for each in receipts if each.device_id}
    count = max(each.device_count for each in receipts)
    if devices and len(devices) != count:
        yield f"{delivery}: {len(devices)} of {count} devices were heard of"
    for round_number in range(max(each.round for each in receipts) + 1):
        for unit in devices or {""}:
            ends = [
                each.status
                for each in receipts
                if each.device_id == unit and each.round == round_number and is_end(each)
            ]
            if len(ends) != 1:
                yield f"{delivery} {unit} round {round_number}: ended as {ends}"


def _uncounted_repeats(found: Evidence) -> Iterator[str]:
    """A request that repeats or contradicts another is told so, and makes nothing."""
    told: defaultdict[str, list[str]] = defaultdict(list)
    for receipt in found.receipts:
        if receipt.kind == "request" and receipt.reason != "unknown_type":
            told[receipt.notification_id].append(receipt.reason or receipt.status)
    for notification_id, group in requests_by_id(found).items():
        contents = Counter(str(each.what["data"]) for each in group)
        expected = [
            sorted(
                ["duplicate"] * (same - 1) + ["idempotency_conflict"] * (contents.total() - same)
            )
            for same in contents.values()
        ]
        if sorted(told[notification_id]) not in expected:
            yield f"{notification_id}: {dict(contents)} answered by {told[notification_id]}"


def _broadcasts(found: Evidence) -> Iterator[str]:
    """Everybody who was meant, nobody else, unless it was called off in between."""
    reached: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for receipts in by_delivery(found).values():
        first = receipts[0]
        if first.broadcast_id:
            reached[first.broadcast_id][first.user_id, first.channel] += 1
    called_off = {each.what.get("broadcast_id") for each in found.cancellations}
    for broadcast in found.broadcasts:
        what = broadcast.what
        broadcast_id = ids.to_text(ids.broadcast_id("", what["idempotency_key"]))
        users = MEMBERS if what.get("audience") == AUDIENCE else what["user_ids"]
        kind = RULES.types[what["type"]]
        meant = Counter[tuple[str, str]](
            (user, channel) for user in users for channel in kind.channels
        )
        got = reached.get(broadcast_id, Counter())
        firsts = Counter({key: count for key, count in got.items() if key[1] in kind.channels})
        if firsts - meant:
            yield f"broadcast {broadcast_id}: {firsts - meant} were not meant"
        if meant - firsts and broadcast_id not in called_off:
            yield f"broadcast {broadcast_id}: {meant - firsts} were forgotten"


def _sent_twice(found: Evidence) -> Iterator[str]:
    """A second call is made only for types that ask for it, and is reported."""
    doubts = Counter(unit_told(each) for each in found.receipts if each.status == "in_doubt")
    units = Counter(unit_sent(each, found) for each in found.acceptances)
    for unit, count in units.items():
        if count > 1 + doubts[unit]:
            yield f"{unit}: accepted {count} times, reported {doubts[unit]} times"
    resend = {name for name, kind in RULES.types.items() if kind.category.in_doubt == "resend"}
    types = {each.delivery_id: each.type for each in found.receipts}
    for unit, count in units.items():
        if count > 1 and types.get(unit[0]) not in resend:
            yield f"{unit}: accepted {count} times, though its type holds"


def _phantoms(found: Evidence) -> Iterator[str]:
    """What is said to be sent was, and what was sent is not said to be anything else."""
    units = {unit_sent(each, found) for each in found.acceptances}
    admitted = set()
    for receipt in found.receipts:
        if receipt.status in ("sent", "in_doubt"):
            admitted.add(unit_told(receipt))
        if (
            receipt.status == "sent"
            and receipt.channel != "in_app"
            and unit_told(receipt) not in units
        ):
            yield f"{unit_told(receipt)}: said to be sent, and no provider has it"
    for unit in units - admitted:
        yield f"{unit}: sent, and nobody says so"


def _receipts_told_twice(found: Evidence) -> Iterator[str]:
    """A fact is one record: what a crash interrupted was not committed. Only a delivery that is
    held back again, for the same reason, says so again."""
    facts = Counter(each.receipt_id for each in found.receipts if each.status != "deferred")
    for receipt_id, count in facts.items():
        if count > 1:
            yield f"receipt {receipt_id} was written {count} times"


def _stopped_too_late(found: Evidence, stop_ms: int) -> Iterator[str]:
    """An opt-out, a cancellation and a pause hold back what is queued already."""
    types = {each.delivery_id: each.type for each in found.receipts}
    choices = choices_in(found.changes)
    cancelled = cancelled_at(found)
    paused = pauses_in(found)
    for each in found.acceptances:
        message = each.message
        delivery_id = ids.to_text(message.delivery_id)
        kind = RULES.types[types[delivery_id]] if delivery_id in types else None
        if kind is None:
            yield f"{delivery_id}: no receipt speaks of it"
            continue
        where = f"{delivery_id} to {message.user_id} by {each.channel} at {each.called_ms}"
        if not kind.category.mandatory:
            for about in (each.channel, kind.name):
                if is_off(choices.get((message.user_id, about), []), each.called_ms - stop_ms):
                    yield f"{where}: had turned off {about}"
        of = (ids.to_text(message.notification_id), broadcast_of(found, delivery_id))
        if any(cancelled.get(target, each.called_ms) < each.called_ms - stop_ms for target in of):
            yield f"{where}: was called off"
        for control in (
            f"channel:{each.channel}",
            f"type:{kind.name}",
            f"provider:{each.channel}-one",
        ):
            for start_ms, end_ms in paused.get(control, ()):
                if start_ms + stop_ms < each.called_ms < end_ms:
                    yield f"{where}: {control} was paused"


def _letters(found: Evidence) -> Iterator[str]:
    """Each unreadable record is a dead letter, once, and nothing else is one."""
    records = Counter(
        (each.topic, each.partition, each.offset) for each in found.letters if each.kind == "record"
    )
    for place in found.rubbish ^ set(records):
        yield f"{place}: a dead letter without rubbish, or rubbish without a dead letter"
    for place, count in records.items():
        if count > 1:
            yield f"{place}: {count} dead letters"


def _woken(found: Evidence) -> Iterator[str]:
    """Nobody is disturbed in quiet hours, however long a message had been on its way."""
    types = {each.delivery_id: each.type for each in found.receipts}
    for each in found.acceptances:
        delivery_id, user = ids.to_text(each.message.delivery_id), each.message.user_id
        kind = RULES.types.get(types.get(delivery_id, ""))
        wishes = found.profiles.get(user, Profile()).wishes
        wish = wishes.channels.get(each.channel)
        if kind is not None and kind.category.quiet_hours and wish is not None and wish.quiet_hours:
            zone, span = Zone(wishes.timezone or "UTC"), parse_span(wish.quiet_hours)
            instants = each.called_ms - WAKE_MS, each.called_ms
            if all(is_inside(at_ms, zone, span) for at_ms in instants):
                yield f"{delivery_id} to {user} at {each.called_ms}: quiet hours"


def _misplaced(found: Evidence) -> Iterator[str]:
    """A record in the wrong partition is sent on, once."""
    wrong = {each.place for each in (*found.requests, *found.changes) if each.is_misplaced}
    for place in wrong ^ set(found.forwarded):
        yield f"{place}: forwarded though in place, or misplaced and not forwarded"
    for place, count in found.forwarded.items():
        if count > 1:
            yield f"{place}: forwarded {count} times"


def _fallbacks(found: Evidence) -> Iterator[str]:
    """What failed for good on every way goes on by the next channel, and nothing else does."""
    by_notification: defaultdict[str, dict[str, list[Receipt]]] = defaultdict(dict)
    for receipts in by_delivery(found).values():
        by_notification[receipts[0].notification_id][receipts[0].channel] = receipts
    for notification_id, channels in by_notification.items():
        kind = RULES.types[next(iter(channels.values()))[0].type]
        refused = {
            channel
            for channel, receipts in channels.items()
            if receipts[0].reason == "channel_not_in_type"
        }
        first, ways = kind.channels, set(kind.fallback) - refused
        going_on = sorted(ways & set(channels))
        failed = [each for each in first if has_failed(channels.get(each, ()))]
        if ways and failed and not going_on:
            yield f"{notification_id}: failed by {failed}, and nobody went on"
        if (
            going_on
            and not failed
            and not any(is_given_up(channels.get(each, ())) for each in first)
        ):
            yield f"{notification_id}: went on by {going_on}, though nothing failed"


def _too_many(found: Evidence) -> Iterator[str]:
    """Caps of a category hold for the day, which no simulated world outlives."""
    passed: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
    for each in found.receipts:
        if each.status == "queued" or (each.reason == "quiet_hours" and each.status == "deferred"):
            passed[each.category, each.channel, each.user_id].add(each.delivery_id)
    for (category, channel, user), deliveries in passed.items():
        limit = daily_limits().get((category, channel))
        if limit is not None and len(deliveries) > limit:
            yield f"{user}: {len(deliveries)} of {category} by {channel}, the limit is {limit}"


def _too_fast(found: Evidence) -> Iterator[str]:
    """A sender's rate holds in every window, whoever sends."""
    for sender, rate in SMS_SENDERS.items():
        at = sorted(each.taken_ms for each in found.acceptances if each.message.sender == sender)
        for first, last in zip(at, at[rate.count :], strict=False):
            if last - first < rate.window_seconds * 1000:
                yield f"{sender}: more than {rate.count} messages within {last - first} ms"


def _profiles(found: Evidence) -> Iterator[str]:
    """A person's last word on themselves holds, and a phone has one holder."""
    for (user, about), said in choices_in(found.changes).items():
        last = max(said)
        if any(each[0] == last[0] and each[2] != last[2] for each in said):
            continue  # both at one instant
        profile = found.profiles[user]
        wish = profile.wishes.channels.get(about)
        enabled = profile.wishes.types.get(about, wish.enabled if wish else None)
        words = unpack_words(profile.packed_words)
        word = words.get(f"types.{about}") or words.get(f"{about}.enabled")
        if enabled is not last[2] or word is None or word.source != "user":
            yield f"{user}: said {last[2]} of {about} at {last[0]}, known is {enabled} by {word}"
    tokens = [device.token for profile in found.profiles.values() for device in profile.devices]
    for token, count in Counter(tokens).items():
        if count > 1:
            yield f"{token} has {count} holders"


def _inboxes(found: Evidence) -> Iterator[str]:
    """What is said to be in an inbox is, once, and nothing else is."""
    told = {
        each.delivery_id
        for each in found.receipts
        if each.channel == "in_app" and each.status == "sent"
    }
    kept = Counter(ids.to_text(delivery_id) for delivery_id in found.inbox)
    for delivery_id in told ^ set(kept):
        yield f"{delivery_id}: shown and not told, or told and not shown"
    for delivery_id, count in kept.items():
        if count > 1:
            yield f"{delivery_id}: shown {count} times"
