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
from proof.checker.members import Members
from proof.checker.oracle import SLACK_MS, Oracle, expires_ms
from proof.checker.pauses import Pauses
from proof.checker.people import People, Person
from proof.checker.routes import Routes, Way
from proof.checker.rules import Kind, Rules


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

    def is_plain(self, delivery: Delivery) -> bool:
        """Of one that is told plainly, or that a provider took and nobody tells of."""
        request = delivery.request
        if request is None or delivery.id in self._refused:
            return False
        way = self._routes.way(request.said.type, delivery.channel)
        if way is None:
            return False
        person = self._people.of(delivery.user_id)
        address = self._routes.address(way, person)
        if address is None or not self._is_asked(request, delivery.user_id, way, person):
            return False
        device_id = person.tokens.get(address, "") if way.channel == "push" else ""
        if delivery.device_id not in (device_id, None):
            return False
        if way.channel == "in_app":
            at_ms = None if delivery.accepts else delivery.sent_ms()
        else:
            at_ms = self._taken_ms(delivery, request, person, address)
        return at_ms is not None and self._is_in_time(request, way, person, at_ms)

    def _is_asked(self, request: Request, user_id: str, way: Way, person: Person) -> bool:
        """For this user, by this channel, at once, when all that was said of the user was known."""
        said = request.said
        return (
            (not said.channels or way.channel in said.channels)
            and said.recipient is None
            and said.send_at is None
            and said.data.number != ""
            and (
                said.user_id == user_id
                or (not said.user_id and self._members.is_certain(request, user_id))
            )
            and self._oracle.is_known(person.last_ms, request.at_ms)
            and self._oracle.called_off_ms(said, request.at_ms) is None
        )

    def _taken_ms(
        self, delivery: Delivery, request: Request, person: Person, address: str
    ) -> int | None:
        """When its only provider took it, as it should; None if it is otherwise."""
        if len(delivery.accepts) != 1:
            return None
        accept = delivery.accepts[0]
        is_as_asked = (
            accept.address == address
            and accept.round == 0
            and self._channel_of.get(accept.provider) == delivery.channel
            and is_right(request.said, delivery.channel, person, accept.body_hash)
        )
        return accept.at_ms if is_as_asked else None

    def _is_in_time(self, request: Request, way: Way, person: Person, at_ms: int) -> bool:
        expiry_ms = expires_ms(request.said, request.at_ms, way.kind)
        return (
            request.at_ms - SLACK_MS <= at_ms < expiry_ms > request.at_ms
            and (not way.night or self._routes.is_awake(way, person, at_ms))
            and not self._pauses.any_at(at_ms)
        )


def is_told_plainly(queued: Receipt, sent: Receipt, number: int, kind: Kind) -> bool:
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
        and queued.type == sent.type == kind.name
        and queued.category == sent.category == kind.category.name
        and queued.reason == sent.reason == ""
        and queued.round == sent.round == 0
        and queued.device_count == sent.device_count == 1
        and queued.device_id in ("", sent.device_id)
    )
