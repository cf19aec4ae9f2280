"""What needs no second look: nearly all deliveries of an installation that does what it promised.

Asked for, queued and sent once, with the right content, to somebody of whom nothing was said that
matters: no wish, no quiet hours, one address since before; nothing paused or called off. Every
invariant but the caps holds for such a delivery, so the others are spared looking.
"""

from proof.checker.background import Background
from proof.checker.cases import Case, Delivery
from proof.checker.contents import hash_of
from proof.checker.evidence import Receipt, Request
from proof.checker.instants import ms_of
from proof.checker.oracle import expires_ms
from proof.checker.people import ADDRESS_FIELDS, Person
from proof.checker.rules import Kind, Rules


class Plain:
    def __init__(self, rules: Rules, background: Background) -> None:
        self._rules = rules
        self._people = background.people
        self._oracle = background.oracle
        self._members = background.members
        self._pauses = background.pauses

    def look_at(self, delivery: Delivery) -> bool:
        """Whether it is plain, which is noted."""
        request, channel = delivery.request, delivery.channel
        if request is None:
            return False
        kind, said = self._rules.kinds.get(request.said.type), request.said
        if kind is None or channel not in (said.channels or kind.channels):
            return False
        if said.recipient is not None or said.send_at is not None or not said.data.number:
            return False
        person = self._people.of(delivery.user_id)
        if not self._oracle.is_known(person.last_ms, request.at_ms):
            return False
        address = self._only_address(person, kind, channel)
        if address is None or not _is_told(delivery.receipts, request.number, kind):
            return False
        if said.user_id != delivery.user_id and (
            said.user_id or not self._members.is_certain(request, delivery.user_id)
        ):
            return False
        if self._oracle.called_off_ms(said) is not None:
            return False
        at_ms = self._taken_ms(delivery, said.data.number, address)
        delivery.is_plain = at_ms is not None and self._is_in_time(request, kind, at_ms)
        return delivery.is_plain

    def is_closed(self, case: Case) -> bool:
        """All channels of it are plain, and nothing else was told."""
        kind, said = self._rules.kinds.get(case.said.type), case.said
        if kind is None or case.refusals:
            return False
        deliveries = case.deliveries
        channels = said.channels or kind.channels
        if len(deliveries) != len(channels):
            return False
        if len(deliveries) > 1 and len({each.channel for each in deliveries}) != len(channels):
            return False
        return all(each.is_plain for each in deliveries)

    def _taken_ms(self, delivery: Delivery, number: str, address: str) -> int | None:
        """When its only provider took it, as it should; None if it is otherwise."""
        channel, accepts = delivery.channel, delivery.accepts
        if channel == "in_app":
            return None if accepts else ms_of(delivery.receipts[-1].occurred_at)
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

    def _is_in_time(self, request: Request, kind: Kind, at_ms: int) -> bool:
        expiry_ms = expires_ms(request.said, request.at_ms, kind)
        return at_ms < expiry_ms and not self._pauses.any_at(at_ms)

    def _only_address(self, person: Person, kind: Kind, channel: str) -> str | None:
        """Where a user of whom nothing else is said is reached; None where something is."""
        known = person.only_addresses
        key = (kind.name, channel)
        if key not in known:
            known[key] = self._find_only_address(person, kind, channel)
        return known[key]

    def _find_only_address(self, person: Person, kind: Kind, channel: str) -> str | None:
        matters = {
            f"{channel}.enabled", f"{channel}.quiet_hours", f"bar:{channel}", f"types.{kind.name}"
        }  # fmt: skip
        if matters & person.words.keys() or person.deleted or channel not in kind.channels:
            return None
        category = kind.category
        if category.legal_windows and channel in self._rules.legal_channels:
            return None
        if not category.mandatory and not self._rules.is_on_by_default(category.name, channel):
            return None
        if channel == "in_app":
            return ""
        abouts = person.devices() if channel == "push" else [ADDRESS_FIELDS[channel]]
        words = person.of(abouts[0]) if len(abouts) == 1 else ()
        if len(words) != 1 or len(self._people.holders(words[0].value)) > 1:
            return None
        address: str = words[0].value
        return address or None


def _is_told(receipts: list[Receipt], number: int, kind: Kind) -> bool:
    """Queued, then sent, and no more."""
    if len(receipts) != 2:
        return False
    first, second = receipts
    if first.status == "sent":
        first, second = second, first
    return (
        first.status == "queued"
        and second.status == "sent"
        and first.state_rank == 1
        and second.state_rank == 5
        and first.round == second.round == 0
        and first.device_count == second.device_count == 1
        and first.receipt_id != second.receipt_id
        and first.metadata.intent == second.metadata.intent == number
        and first.user_id == second.user_id
        and first.channel == second.channel
        and first.category == second.category == kind.category.name
        and first.type == second.type == kind.name
        and first.notification_id == second.notification_id
    )
