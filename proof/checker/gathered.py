"""Evidence put together: everything by intent and by delivery."""

from collections.abc import Callable, Iterable, Sequence

from proof.checker.cases import Case, Delivery
from proof.checker.evidence import Accept, Evidence, Receipt
from proof.checker.plain import Plain

AcceptsOf = Callable[[str], Sequence[Accept]]


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
        self._accepts_of = accepts_of
        self._plain = plain
        self._to_reopen: set[str] = set()
        self._take(receipts)
        if self._to_reopen:
            self._reopen(receipts)

    def take_untold(self, case: Case, delivery_id: str, user_id: str, channel: str) -> None:
        """A delivery that no receipt speaks of, once: a repeated request has the ids of the first."""
        if delivery_id in self.deliveries:
            return
        request, accepts = case.request, self._accepts_of(delivery_id)
        delivery = Delivery(delivery_id, user_id, channel, delivery_id, request, accepts)
        if self._plain is not None and self._plain.is_plain_untold(delivery):
            delivery.close_untold()
        self.deliveries[delivery_id] = delivery
        case.deliveries.append(delivery)

    def is_unsure(self, delivery: Delivery) -> bool:
        return delivery.request is None and delivery.receipts[0].metadata.intent in self._unsure

    def _take(self, receipts: Iterable[Receipt]) -> None:
        """Two by two: nearly all deliveries are told of twice, and are plain then. So millions need
        little memory, which is what takes the time."""
        waiting: dict[str, Receipt] = {}
        for receipt in receipts:
            if receipt.kind == "delivery":
                first = waiting.pop(receipt.delivery_id, None)
                if first is None:
                    waiting[receipt.delivery_id] = receipt
                else:
                    self._take_two(first, receipt)
            else:
                self._take_word(receipt)
        for receipt in waiting.values():
            self._take_one(receipt)

    def _take_two(self, first: Receipt, second: Receipt) -> None:
        """Of a delivery; if it was plain until now, all of its receipts are read again."""
        delivery = self.deliveries.get(first.delivery_id)
        if delivery is None:
            delivery = self._begin(first)
            if self._plain is not None and self._plain.is_plain(delivery, first, second):
                delivery.close(first, second)
                return
        if delivery.is_plain:
            self._to_reopen.add(delivery.id)
        else:
            delivery.receipts += first, second

    def _take_one(self, receipt: Receipt) -> None:
        """That none came after."""
        delivery = self.deliveries.get(receipt.delivery_id) or self._begin(receipt)
        if delivery.is_plain:
            self._to_reopen.add(delivery.id)
        else:
            delivery.receipts += (receipt,)

    def _take_word(self, receipt: Receipt) -> None:
        """About a request as such."""
        case = self._case_of(receipt)
        if receipt.kind == "request" and case is not None:
            case.refusals += (receipt,)

    def _begin(self, first: Receipt) -> Delivery:
        case, delivery_id = self._case_of(first), first.delivery_id
        request = case.request if case else None
        delivery = self.deliveries[delivery_id] = Delivery(
            delivery_id,
            first.user_id,
            first.channel,
            first.notification_id,
            request,
            self._accepts_of(delivery_id),
        )
        if case is not None:
            case.deliveries.append(delivery)
        return delivery

    def _case_of(self, receipt: Receipt) -> Case | None:
        number = receipt.metadata.intent
        case = self.by_number.get(number)
        if case is None and number not in self._unsure:
            self.strays.append(receipt)
        return case

    def _reopen(self, receipts: Iterable[Receipt]) -> None:
        for delivery_id in self._to_reopen:
            self.deliveries[delivery_id].reopen(self._accepts_of(delivery_id))
        for receipt in receipts:
            if receipt.kind == "delivery" and receipt.delivery_id in self._to_reopen:
                self.deliveries[receipt.delivery_id].receipts += (receipt,)
