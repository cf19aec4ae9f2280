"""`Hearing`: cases and oracle side by side, and what several invariants ask of both."""

from collections.abc import Iterator, Sequence

from proof.checker.background import Background
from proof.checker.cases import Case, Delivery
from proof.checker.evidence import Accept, Receipt
from proof.checker.gathered import Cases
from proof.checker.instants import ms_of
from proof.checker.oracle import Matter
from proof.checker.rules import Kind

UNKNOWN_DEVICE = "?"
"""Of an acceptance at a token that its user never had."""


class Hearing:
    """Of the users of one part."""

    def __init__(self, cases: Cases, background: Background, part: int = 0) -> None:
        found = cases.found
        self.found = found
        self.rules = found.rules
        self.circumstances = found.circumstances
        self.cases = cases
        self.background = background
        self.part = part
        self.people = background.people
        self.oracle = background.oracle
        self.pauses = background.pauses
        self.members = background.members
        self._matters: dict[str, Matter] = {}
        self.not_plain = [each for each in cases.deliveries.values() if not each.is_plain]
        self.others = [each for each in self.not_plain if self.kind_of(each) is not None]
        """Deliveries that are not plain, of those that somebody asked for."""
        self.unsure = [each for each in self.not_plain if cases.is_unsure(each)]
        """Deliveries of what nobody acknowledged, and which came."""
        by_number = self.cases.by_number
        self.requests = [
            case
            for case in (by_number[each.number] for each in found.requests)
            if not self._is_closed(case)
        ]
        """Single ones of which not all is plain."""
        self.broadcasts = [by_number[each.number] for each in found.broadcasts]

    def kind_of(self, delivery: Delivery) -> Kind | None:
        return self.rules.kinds.get(delivery.request.said.type) if delivery.request else None

    def matter_of(self, delivery: Delivery) -> Matter:
        """Of a delivery that somebody asked for, of a type that there is."""
        matter = self._matters.get(delivery.id)
        if matter is None:
            matter = self._matters[delivery.id] = self._matter_of(delivery)
        return matter

    def is_certainly_meant(self, delivery: Delivery) -> bool:
        assert delivery.request is not None
        said = delivery.request.said
        if said.user_id:
            return said.user_id == delivery.user_id
        return self.members.is_certain(delivery.request, delivery.user_id)

    def controls_of(self, delivery: Delivery) -> Sequence[str]:
        """What can hold it back, whichever provider it is for."""
        assert delivery.request is not None
        said, channel = delivery.request.said, delivery.channel
        providers = (each for each, of in self.rules.channel_of.items() if of == channel)
        tenant = [f"tenant:{said.tenant}"] if said.tenant else []
        named = (f"provider:{each}" for each in providers)
        return [f"channel:{channel}", f"type:{said.type}", *named, *tenant]

    def waits(self, delivery: Delivery, told: Sequence[Receipt]) -> bool:
        """Whether a device of a round, of which this was told, is yet to come to its end."""
        if not told or any(each.is_end for each in told):
            return False
        return self.oracle.holds_back(self.matter_of(delivery), told[-1])

    def moments(self, delivery: Delivery) -> Iterator[tuple[int, Accept | None]]:
        """When it reached its user; an inbox has no provider."""
        if delivery.channel == "in_app":
            for each in delivery.receipts:
                if each.status == "sent":
                    yield ms_of(each.occurred_at), None
        for accept in delivery.accepts:
            yield accept.at_ms, accept

    def device_of(self, delivery: Delivery, accept: Accept) -> str:
        if delivery.channel != "push":
            return ""
        return self.people.of(delivery.user_id).tokens.get(accept.address, UNKNOWN_DEVICE)

    def _is_closed(self, case: Case) -> bool:
        """All channels of it are plain, and nothing else was told."""
        deliveries = case.deliveries
        if not deliveries or case.refusals or not deliveries[0].is_plain:
            return False
        channels = case.said.channels or self.rules.kinds[case.said.type].channels
        if len(deliveries) == 1:
            return len(channels) == 1
        if not all(each.is_plain for each in deliveries):
            return False
        told = {each.channel for each in deliveries}
        return len(channels) == len(deliveries) == len(told)

    def _matter_of(self, delivery: Delivery) -> Matter:
        request, kind = delivery.request, self.kind_of(delivery)
        assert request is not None
        assert kind is not None
        ended_ms = delivery.ended_ms()
        return Matter(
            request.said,
            request.at_ms,
            kind,
            delivery.user_id,
            delivery.channel,
            self.circumstances.ended_ms if ended_ms is None else ended_ms,
            self.oracle.known_ms(request.at_ms),
            self.oracle.prompt_ms(delivery.user_id, request.at_ms),
            is_fallback=delivery.channel in kind.fallback
            and delivery.channel not in (request.said.channels or ()),
        )
