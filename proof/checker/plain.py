"""What needs no second look: nearly all deliveries of an installation that does what it promised.

Asked for, queued and sent once, with the right content, to somebody of whom nothing was said that
matters: no wish, or to be left alone at another time of the day; one address since before; nothing
paused or called off. Every invariant but the caps holds for such a delivery, so the others are
spared looking.
"""

from collections.abc import Set

from proof.checker.cases import Delivery
from proof.checker.contents import is_right
from proof.checker.evidence import Receipt, Request
from proof.checker.instants import ms_of
from proof.checker.members import Members
from proof.checker.oracle import SLACK_MS, Oracle, expires_ms
from proof.checker.pauses import Pauses
from proof.checker.people import People, Person
from proof.checker.routes import Routes, Way
from proof.checker.rules import Rules

Trip = tuple[Request, Way, Person, str]
"""What was asked for, how, to whom, at the only address that they ever had there ("" in an inbox); there
are millions, so nothing that takes longer to make."""


class Plain:
    def __init__(
        self,
        rules: Rules,
        people: People,
        oracle: Oracle,
        members: Members,
        pauses: Pauses,
        refused: Set[str],
    ) -> None:
        """`refused`: deliveries that a provider did not take once at least."""
        self._channel_of = rules.channel_of
        self._people = people
        self._routes = Routes(rules, people)
        self._oracle = oracle
        self._members = members
        self._pauses = pauses
        self._refused = refused

    def is_plain(self, delivery: Delivery, first: Receipt, second: Receipt) -> bool:
        """Of one of which these receipts were told until now."""
        queued, sent = (second, first) if first.status == "sent" else (first, second)
        trip = self._trip(delivery)
        if trip is None:
            return False
        request, way, person, address = trip
        device_id = person.tokens.get(address, "") if way.channel == "push" else ""
        if not _is_told(queued, sent, request.number, way, device_id):
            return False
        is_inbox = way.channel == "in_app"
        at_ms = ms_of(sent.occurred_at) if is_inbox else self._taken_ms(delivery, trip)
        return self._is_in_time(trip, at_ms) and not (is_inbox and delivery.accepts)

    def is_plain_untold(self, delivery: Delivery) -> bool:
        """Of one that no receipts are told of: an inbox, which has no provider, can not be."""
        trip = self._trip(delivery)
        return trip is not None and self._is_in_time(trip, self._taken_ms(delivery, trip))

    def _trip(self, delivery: Delivery) -> Trip | None:
        request = delivery.request
        if request is None or delivery.id in self._refused:
            return None
        way = self._routes.way(request.said.type, delivery.channel)
        if way is None:
            return None
        person = self._people.of(delivery.user_id)
        address = self._routes.address(way, person)
        is_asked = self._is_asked(request, delivery.user_id, way, person.last_ms)
        return (request, way, person, address) if address is not None and is_asked else None

    def _is_asked(self, request: Request, user_id: str, way: Way, last_ms: int) -> bool:
        """For this user, by this channel, at once, when all that was said of the user was known."""
        said = request.said
        return (
            (not said.channels or way.channel in said.channels)
            and said.recipient is None
            and said.send_at is None
            and bool(said.data.number)
            and (
                said.user_id == user_id
                or (not said.user_id and self._members.is_certain(request, user_id))
            )
            and self._oracle.is_known(last_ms, request.at_ms)
            and self._oracle.called_off_ms(said, request.at_ms) is None
        )

    def _taken_ms(self, delivery: Delivery, trip: Trip) -> int | None:
        """When its only provider took it, as it should; None if it is otherwise."""
        (request, _, person, address), channel = trip, delivery.channel
        if len(delivery.accepts) != 1:
            return None
        (accept,) = delivery.accepts
        is_as_asked = (
            accept.address == address
            and accept.round == 0
            and self._channel_of.get(accept.provider) == channel
            and is_right(request.said, channel, person, accept.body_hash)
        )
        return accept.at_ms if is_as_asked else None

    def _is_in_time(self, trip: Trip, at_ms: int | None) -> bool:
        request, way, person, _ = trip
        if at_ms is None or not self._routes.is_awake(way, person, at_ms):
            return False
        expiry_ms = expires_ms(request.said, request.at_ms, way.kind)
        is_between = request.at_ms - SLACK_MS <= at_ms < expiry_ms > request.at_ms
        return is_between and not self._pauses.any_at(at_ms)


def _is_told(queued: Receipt, sent: Receipt, number: int, way: Way, device_id: str) -> bool:
    """Queued, then sent, and no more."""
    return (
        queued.status == "queued"
        and sent.status == "sent"
        and queued.state_rank == 1
        and sent.state_rank == 5
        and not queued.is_final
        and queued.receipt_id != sent.receipt_id
        and queued.notification_id == sent.notification_id
        and queued.user_id == sent.user_id
        and queued.channel == sent.channel
        and queued.metadata.intent == sent.metadata.intent == number
        and queued.type == sent.type == way.kind.name
        and queued.category == sent.category == way.kind.category.name
        and queued.reason == sent.reason == ""
        and queued.round == sent.round == 0
        and queued.device_count == sent.device_count == 1
        and sent.device_id == device_id
        and queued.device_id in ("", device_id)
    )
