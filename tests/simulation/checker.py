"""What was promised, compared with what happened: `proof`'s checker, and what only we can look at.

The state inside of processes is known here, so that is looked at too.
"""

from collections import Counter
from collections.abc import Iterator

from proof.checker.judge import judge
from proof.checker.verdict import Tally
from schemas import ids
from schemas.profile import unpack_words
from tests.simulation.evidence import Evidence
from tests.simulation.outside import PROMPT_MS, outside
from tests.simulation.readings import choices_in

STOP_MS = 6_500
"""What stops a delivery works within this: how old a tail may be, and a call that waits a moment.
A process that slept wakes with tails that are up to five seconds old."""
_ATTEMPTS = 4
"""How often a provider may refuse a delivery before it is given up."""


def complaints(found: Evidence, *, stop_ms: int = STOP_MS, prompt_ms: int = PROMPT_MS) -> list[str]:
    """Everything that is wrong, a line each. A world at rest has none."""
    verdict = judge(outside(found, stop_ms=stop_ms, prompt_ms=prompt_ms))
    return [
        *map(str, verdict.violations),
        *_left_waiting(found, verdict.tally),
        *_attempts(found),
        *_misplaced(found),
        *_profiles(found),
        *_inboxes(found),
    ]


def _left_waiting(found: Evidence, tally: Tally) -> Iterator[str]:
    """A world rests when nothing comes due for an hour: only the law lets anything wait for longer."""
    last = {(each.delivery_id, each.device_id): each for each in found.receipts}
    lawfully = sum(
        each.status == "deferred" and each.reason == "legal_window" for each in last.values()
    )
    if tally.counts["deferred"] > lawfully:
        yield f"{tally.counts['deferred']} deliveries are left waiting in a world at rest"


def _attempts(found: Evidence) -> Iterator[str]:
    """Given up is only what was tried as often as is promised: each time its provider refused it, or
    may have it; to be throttled costs no attempt."""
    costly = {
        (ids.to_text(each.message.delivery_id), each.message.round, each.message.attempt)
        for each in found.troubles
        if each.effect in ("refuse", "lose")
    }
    costly |= {
        (each.delivery_id, each.round, each.attempt)
        for each in found.receipts
        if each.status == "in_doubt"
    }
    for each in found.receipts:
        if each.reason == "attempts_exhausted":
            for attempt in range(1, _ATTEMPTS + 1):
                if (each.delivery_id, each.round, attempt) not in costly:
                    yield f"{each.delivery_id}: exhausted, though attempt {attempt} was none"


def _misplaced(found: Evidence) -> Iterator[str]:
    """A record in the wrong partition is sent on, once."""
    wrong = {each.place for each in (*found.requests, *found.changes) if each.is_misplaced}
    for place in wrong ^ set(found.forwarded):
        yield f"{place}: forwarded though in place, or misplaced and not forwarded"
    for place, count in found.forwarded.items():
        if count > 1:
            yield f"{place}: forwarded {count} times"


def _profiles(found: Evidence) -> Iterator[str]:
    """A person's last word on themselves holds, and a phone has one holder."""
    gone = {
        each.what["user_id"] for each in found.changes if each.what["change"] == "recipient_deleted"
    }
    for (user, about), said in choices_in(found.changes).items():
        if user in gone:
            continue  # of their wishes only the opt-outs outlive them
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
