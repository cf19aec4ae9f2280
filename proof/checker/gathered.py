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
        """Nor is it missed for these, which may have come or not."""
        self._take(receipts, accepts_of, plain)
        for delivery in self.deliveries.values():
            if not delivery.is_plain:
                delivery.accepts = accepts_of(delivery.id)

    def _take(
        self, receipts: Iterable[Receipt], accepts_of: AcceptsOf, plain: Plain | None
    ) -> None:
        """What is plain is closed with its second receipt, so that millions need little memory,
        which is what takes the time. If there is a third one, all of them are read again."""
        deliveries, by_number, to_reopen = self.deliveries, self.by_number, set[str]()
        for receipt in receipts:
            delivery_id = receipt.delivery_id
            delivery = deliveries.get(delivery_id) if receipt.kind == "delivery" else None
            if delivery is not None:
                if delivery.is_plain:
                    to_reopen.add(delivery_id)
                    continue
                delivery.receipts.append(receipt)
                if plain is not None and len(delivery.receipts) == 2:
                    delivery.accepts = accepts_of(delivery_id)
                    if plain.is_plain(delivery):
                        delivery.close()
                continue
            case = by_number.get(receipt.metadata.intent)
            if case is None:
                self._note_stray(receipt)
            if receipt.kind == "delivery":
                delivery = Delivery(case.request if case else None, receipt)
                deliveries[delivery_id] = delivery
                if case is not None:
                    case.deliveries.append(delivery)
            elif receipt.kind == "request" and case is not None:
                case.refusals.append(receipt)
        if to_reopen:
            self._reopen(to_reopen, receipts)

    def _reopen(self, delivery_ids: Set[str], receipts: Iterable[Receipt]) -> None:
        for delivery_id in delivery_ids:
            self.deliveries[delivery_id].is_plain = False
        for receipt in receipts:
            if receipt.kind == "delivery" and receipt.delivery_id in delivery_ids:
                self.deliveries[receipt.delivery_id].receipts.append(receipt)

    def _note_stray(self, receipt: Receipt) -> None:
        if receipt.metadata.intent not in self._unsure:
            self.strays.append(receipt)
