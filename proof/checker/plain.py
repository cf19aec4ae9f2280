"""What needs no second look: nearly all deliveries of an installation that does what it promised.

Asked for, queued and sent once, with the right content, to somebody of whom nothing was said that
matters: no wish, or to be left alone at another time of the day; one address since before; nothing
paused or called off. Every invariant but the caps holds for such a delivery, so the others are
spared looking.
"""

from collections import defaultdict
from operator import attrgetter
from typing import NamedTuple

from proof.checker.cases import Delivery
from proof.checker.contents import hash_of
from proof.checker.evidence import Receipt
from proof.checker.instants import is_inside, ms_of
from proof.checker.members import Members
from proof.checker.oracle import Oracle, expires_ms
from proof.checker.pauses import Pauses
from proof.checker.people import ADDRESS_FIELDS, People, Person
from proof.checker.rules import Kind, Rules

_facts = attrgetter(
    "user_id", "channel", "type", "category", "notification_id", "metadata", "reason", "round",
    "device_count",
)  # fmt: skip


class _Way(NamedTuple):
    """A type by one of its channels, open to whoever said nothing."""

    kind: Kind
    channel: str
    matters: frozenset[str]
    """Of what users may say, what counts for it."""
    night: str
    """What they call quiet hours of it; "" where none are kept."""


class Plain:
    def __init__(
        self, rules: Rules, people: People, oracle: Oracle, members: Members, pauses: Pauses
    ) -> None:
        self._rules = rules
        self._people = people
        self._oracle = oracle
        self._members = members
        self._pauses = pauses
        self._ways = {
            (kind.name, channel): _way(kind, channel)
            for kind in rules.kinds.values()
            for channel in kind.channels
            if _is_open(rules, kind, channel)
        }

        self._reached: defaultdict[Person, dict[tuple[str, str], str | None]] = defaultdict(dict)
        """Found once for a user's many deliveries of a type by a channel."""

    def is_plain(self, delivery: Delivery) -> bool:
        """Of one of which two receipts were told until now."""
        request, channel, user_id = delivery.request, delivery.channel, delivery.user_id
        if request is None:
            return False
        said = request.said
        key = said.type, channel
        way = self._ways.get(key)
        if way is None or (said.channels and channel not in said.channels):
            return False
        if said.recipient is not None or said.send_at is not None or not said.data.number:
            return False
        if said.user_id != user_id and (
            said.user_id or not self._members.is_certain(request, user_id)
        ):
            return False
        person = self._people.of(user_id)
        if not self._oracle.is_known(person.last_ms, request.at_ms):
            return False
        reached = self._reached[person]
        if key not in reached:
            reached[key] = self._only_address(person, way)
        address = reached[key]
        if address is None:
            return False
        device_id = person.tokens.get(address, "") if channel == "push" else ""
        if not _is_told(delivery.receipts, request.number, way, device_id):
            return False
        if self._oracle.called_off_ms(said) is not None:
            return False
        at_ms = self._taken_ms(delivery, said.data.number, address)
        if at_ms is None or (way.night in person.words and self._may_be_asleep(person, way, at_ms)):
            return False
        expiry_ms = expires_ms(said, request.at_ms, way.kind)
        return request.at_ms < expiry_ms > at_ms and not self._pauses.any_at(at_ms)

    def _taken_ms(self, delivery: Delivery, number: str, address: str) -> int | None:
        """When its only provider took it, as it should; None if it is otherwise."""
        channel, accepts = delivery.channel, delivery.accepts
        if channel == "in_app":
            sent = max(delivery.receipts, key=lambda each: each.state_rank)
            return None if accepts else ms_of(sent.occurred_at)
        if len(accepts) != 1:
            return None
        accept = accepts[0]
        is_right = (
            accept.address == address
            and accept.round == 0
            and self._rules.channel_of.get(accept.provider) == channel
            and accept.body_hash == hash_of(channel, number)
        )
        return accept.at_ms if is_right else None

    def _may_be_asleep(self, person: Person, way: _Way, at_ms: int) -> bool:
        hours, zones = person.of(way.night), person.of("timezone")
        if len(hours) > 1 or len(zones) > 1:
            return True
        zone = (zones[0].value if zones else "") or self._rules.timezone
        span = hours[0].value
        return bool(span) and is_inside(at_ms, zone, span)

    def _only_address(self, person: Person, way: _Way) -> str | None:
        """Where a user of whom nothing else is said is reached; None where something is."""
        said, channel = person.words, way.channel
        if person.deleted or not way.matters.isdisjoint(said):
            return None
        if channel == "in_app":
            return ""
        if channel != "push":
            words = person.of(ADDRESS_FIELDS[channel])
            return words[0].value or None if len(words) == 1 else None
        abouts = person.devices()
        words = person.of(abouts[0]) if len(abouts) == 1 else ()
        if len(words) != 1 or len(self._people.holders(words[0].value)) > 1:
            return None
        return words[0].value or None


def _is_open(rules: Rules, kind: Kind, channel: str) -> bool:
    category = kind.category
    if category.legal_windows and channel in rules.legal_channels:
        return False
    return category.mandatory or rules.is_on_by_default(category.name, channel)


def _way(kind: Kind, channel: str) -> _Way:
    wishes = () if kind.category.mandatory else (f"{channel}.enabled", f"types.{kind.name}")
    night = f"{channel}.quiet_hours" if kind.category.quiet_hours else ""
    return _Way(kind, channel, frozenset((f"bar:{channel}", *wishes)), night)


def _is_told(receipts: list[Receipt], number: int, way: _Way, device_id: str) -> bool:
    """Queued, then sent, and no more."""
    queued, sent = receipts
    if queued.status == "sent":
        queued, sent = sent, queued
    return (
        queued.status == "queued"
        and sent.status == "sent"
        and queued.state_rank == 1
        and sent.state_rank == 5
        and not queued.is_final
        and queued.receipt_id != sent.receipt_id
        and queued.metadata.intent == number
        and queued.type == way.kind.name
        and queued.category == way.kind.category.name
        and sent.device_id == device_id
        and queued.device_id in ("", device_id)
        and not queued.reason
        and queued.round == 0
        and queued.device_count == 1
        and _facts(queued) == _facts(sent)
    )
