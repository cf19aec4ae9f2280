"""Evidence put together: everything by intent and by delivery."""

from collections.abc import Callable, Iterable, Set

from proof.checker.cases import Case, Delivery
from proof.checker.evidence import Accept, Evidence, Receipt
from proof.checker.plain import Plain

AcceptsOf = Callable[[str], list[Accept]]


class Cases:
    """Of the users of one part."""

    def __init__(
        self,
        found: Evidence,
        receipts: Iterable[Receipt],
        accepts_of: AcceptsOf,
        plain: Plain | None,
    ) -> None:
        """`receipts` are read again where that is needed. Without `plain` nothing is spared."""
        self.found = found
        self.by_number = {each.number: Case(each) for each in found.all_requests()}
        self.deliveries: dict[str, Delivery] = {}
        self.strays: list[Receipt] = []
        """Receipts that no request accounts for."""
        self._unsure = {each.number for each in found.unsure}
        """These may have come or not: what is told of them is no stray."""
        self._take(receipts, accepts_of, plain)
        for delivery in self.deliveries.values():
            if not delivery.is_plain:
                delivery.accepts = accepts_of(delivery.id)

    def _take(
        self, receipts: Iterable[Receipt], accepts_of: AcceptsOf, plain: Plain | None
    ) -> None:
        """What is plain is closed with its second receipt, so that millions need little memory,
        which is what takes the time. If there is a third one, all of them are read again."""
        deliveries, to_reopen = self.deliveries, set[str]()
        for receipt in receipts:
            delivery = deliveries.get(receipt.delivery_id) if receipt.kind == "delivery" else None
            if delivery is None:
                self._take_first(receipt)
            elif delivery.is_plain:
                to_reopen.add(delivery.id)
            else:
                delivery.receipts.append(receipt)
                if plain is not None and len(delivery.receipts) == 2:
                    delivery.accepts = accepts_of(delivery.id)
                    if plain.is_plain(delivery):
                        delivery.close()
        if to_reopen:
            self._reopen(to_reopen, receipts)

    def _take_first(self, receipt: Receipt) -> None:
        """Of a delivery, or what is about a request as such."""
        number = receipt.metadata.intent
        case = self.by_number.get(number)
        if case is None and number not in self._unsure:
            self.strays.append(receipt)
        if receipt.kind == "delivery":
            delivery = Delivery(case.request if case else None, receipt)
            self.deliveries[delivery.id] = delivery
            if case is not None:
                case.deliveries.append(delivery)
        elif receipt.kind == "request" and case is not None:
            case.refusals.append(receipt)

    def _reopen(self, delivery_ids: Set[str], receipts: Iterable[Receipt]) -> None:
        for delivery_id in delivery_ids:
            self.deliveries[delivery_id].is_plain = False
        for receipt in receipts:
            if receipt.kind == "delivery" and receipt.delivery_id in delivery_ids:
                self.deliveries[receipt.delivery_id].receipts.append(receipt)
