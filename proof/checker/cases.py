"""Evidence put together: what was asked for whom by which channel, and all that is known of it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from proof.checker.accepted import Accepted
from proof.checker.evidence import Accept, Asked, Evidence, Receipt, Request
from proof.checker.instants import ms_of

R = TypeVar("R", bound=Request)
Unit = tuple[str, int]
"""Device ("" for the delivery as a whole) and round."""


class Delivery:
    """One notification, one user, one channel."""

    __slots__ = ("accepts", "channel", "id", "is_plain", "receipts", "request", "user_id")

    def __init__(self, request: Request | None, first: Receipt) -> None:
        self.id = first.delivery_id
        self.user_id = first.user_id
        self.channel = first.channel
        self.request = request
        """None where no producer asked for it."""
        self.receipts = [first]
        self.accepts: list[Accept] = []
        self.is_plain = False
        """There is nothing more to ask about it; see `plain`."""

    @property
    def ids(self) -> tuple[str, ...]:
        """What to look at."""
        number = str(self.request.number) if self.request else "?"
        return f"delivery {self.id}", f"intent {number}", f"user {self.user_id}"

    def ends(self) -> list[Receipt]:
        return [each for each in self.receipts if each.is_end]

    def units(self) -> dict[Unit, list[Receipt]]:
        """Receipts by what they are about; those about the delivery as a whole are of all devices.

        A later round is of those devices only that it speaks of.
        """
        devices = {each.device_id for each in self.receipts if each.device_id} or {""}
        found: dict[Unit, list[Receipt]] = {(device, 0): [] for device in devices}
        for receipt in self.receipts:
            for device in {receipt.device_id} if receipt.device_id else devices:
                found.setdefault((device, receipt.round), []).append(receipt)
        return found

    def ended_ms(self) -> int | None:
        """When the last of it was told; None while some of it goes on."""
        if not all(any(each.is_end for each in some) for some in self.units().values()):
            return None
        return max(ms_of(each.occurred_at) for each in self.ends())


class Case:
    """What became of one request: deliveries, or a word that refuses it."""

    __slots__ = ("deliveries", "refusals", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.deliveries: list[Delivery] = []
        self.refusals: list[Receipt] = []

    @property
    def said(self) -> Asked:
        return self.request.said

    @property
    def ids(self) -> tuple[str, ...]:
        return ids_of(self.request)

    def reached(self) -> set[tuple[str, str]]:
        """Users and channels that deliveries were told of."""
        return {(each.user_id, each.channel) for each in self.deliveries}


class Cases:
    """Everything, by intent and by delivery."""

    def __init__(self, found: Evidence) -> None:
        self.found = found
        self.by_number = {each.number: Case(each) for each in found.all_requests()}
        self.deliveries: dict[str, Delivery] = {}
        self.strays: list[Receipt] = []
        """Receipts that no request accounts for."""
        self.unclaimed: list[Accept] = []
        """Acceptances of deliveries that no receipt speaks of."""
        self._take_receipts(found)

    def take_accepted(self, accepted: Accepted) -> None:
        """Of the deliveries that receipts speak of."""
        for delivery in self.deliveries.values():
            delivery.accepts = accepted.of(delivery.id)

    def take_accepts(self, accepts: Iterable[Accept]) -> None:
        """All that there is."""
        deliveries = self.deliveries
        for accept in accepts:
            delivery = deliveries.get(accept.delivery_id)
            if delivery is None:
                self.unclaimed.append(accept)
            else:
                delivery.accepts.append(accept)

    def _take_receipts(self, found: Evidence) -> None:
        deliveries, by_number = self.deliveries, self.by_number
        unsure = {each.number for each in found.unsure}
        for receipt in found.receipts:
            kind = receipt.kind
            if kind == "delivery" and (delivery := deliveries.get(receipt.delivery_id)) is not None:
                delivery.receipts.append(receipt)
                continue
            case = by_number.get(receipt.metadata.intent)
            if case is None and receipt.metadata.intent not in unsure:
                self.strays.append(receipt)
            if kind == "delivery":
                delivery = Delivery(case.request if case else None, receipt)
                deliveries[delivery.id] = delivery
                if case is not None:
                    case.deliveries.append(delivery)
            elif kind == "request" and case is not None:
                case.refusals.append(receipt)


def ids_of(request: Request) -> tuple[str, ...]:
    """What to look at."""
    place = f"{request.topic}:{request.partition}:{request.offset}"
    return f"intent {request.number}", f"user {request.said.user_id}", place


def same_key(requests: Sequence[R]) -> Iterator[list[R]]:
    """Requests that share a key, in the order they were appended; one without a key is alone."""
    keyed: dict[tuple[str, str, str], list[R]] = {}
    for request in requests:
        said = request.said
        if said.idempotency_key is None:
            yield [request]
        else:
            keyed.setdefault((said.tenant, said.user_id, said.idempotency_key), []).append(request)
    for group in keyed.values():
        if len(group) > 1:
            group.sort(key=lambda each: each.at_ms)
        yield group
