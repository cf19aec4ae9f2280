"""Evidence put together: everything by intent and by delivery."""

import sys
from collections.abc import Iterable

from proof.checker.cases import Case, Delivery
from proof.checker.evidence import Evidence, Receipt
from proof.checker.plain import Plain, is_told_plainly


class Cases:
    """Of the users of one part. First all is taken in that is told of them, then deliveries get what
    providers took of them, then they are settled."""

    def __init__(
        self, found: Evidence, receipts: Iterable[Receipt], *, is_sparing: bool = True
    ) -> None:
        """`receipts` are read again where that is needed. Nothing is plain if it is not sparing."""
        self.found = found
        self.by_number = {each.number: Case(each) for each in found.all_requests()}
        self.deliveries: dict[str, Delivery] = {}
        self.strays: list[Receipt] = []
        """Receipts that no request accounts for."""
        self._unsure = {each.number for each in found.unsure}
        """These may have come or not: what is told of them is no stray."""
        self._receipts = receipts
        self._is_sparing = is_sparing
        self._to_reopen: set[str] = set()
        self._take(receipts)

    def take_untold(self, case: Case, delivery_id: str, user_id: str, channel: str) -> None:
        """A delivery that no receipt speaks of, once: a repeated request has the ids of the first."""
        if delivery_id in self.deliveries:
            return
        delivery = Delivery(delivery_id, user_id, channel, delivery_id, case.request)
        self.deliveries[delivery_id] = delivery
        case.deliveries.append(delivery)

    def settle(self, plain: Plain) -> None:
        """What is plain, now that all is known that providers took."""
        if self.found.circumstances.has_receipts:
            self._to_reopen.update(
                each.id
                for each in self.deliveries.values()
                if each.is_plain and not plain.is_plain(each)
            )
            if self._to_reopen:
                self._reopen()
        elif self._is_sparing:
            for each in self.deliveries.values():
                if each.accepts and plain.is_plain(each):
                    each.close_untold()

    def is_unsure(self, delivery: Delivery) -> bool:
        return delivery.request is None and delivery.receipts[0].metadata.intent in self._unsure

    def _take(self, receipts: Iterable[Receipt]) -> None:
        """Two by two: nearly all deliveries are told of twice, and are plain then. So millions need
        little memory, which is what takes the time."""
        waiting: dict[str, Receipt] = {}
        for receipt in receipts:
            if receipt.kind != "delivery":
                self._take_word(receipt)
                continue
            delivery_id = receipt.delivery_id
            first = waiting.pop(delivery_id, None)
            if first is None:
                waiting[delivery_id] = receipt
            elif not self._has_closed(first, receipt):
                self._take_one(first)
                self._take_one(receipt)
        for receipt in waiting.values():
            self._take_one(receipt)

    def _has_closed(self, first: Receipt, second: Receipt) -> bool:
        """Whether these two tell of their delivery plainly; they are not kept then."""
        case = self.by_number.get(first.metadata.intent)
        if case is None or not self._is_sparing or first.delivery_id in self.deliveries:
            return False
        request = case.request
        kind = self.found.rules.kinds.get(request.said.type)
        queued, sent = (second, first) if first.status == "sent" else (first, second)
        if kind is None or not is_told_plainly(queued, sent, request.number, kind):
            return False
        self._begin(first, case).close(queued, sent)
        return True

    def _take_one(self, receipt: Receipt) -> None:
        """Of a delivery; if it was plain until now, all of its receipts are read again."""
        delivery = self.deliveries.get(receipt.delivery_id)
        if delivery is None:
            delivery = self._begin(receipt, self._case_of(receipt))
        if delivery.is_plain:
            self._to_reopen.add(delivery.id)
        else:
            delivery.receipts += (receipt,)

    def _take_word(self, receipt: Receipt) -> None:
        """About a request as such."""
        case = self._case_of(receipt)
        if receipt.kind == "request" and case is not None:
            case.refusals += (receipt,)

    def _begin(self, first: Receipt, case: Case | None) -> Delivery:
        delivery_id, request = first.delivery_id, case.request if case else None
        channel = sys.intern(first.channel)  # of millions that say one of four
        delivery = self.deliveries[delivery_id] = Delivery(
            delivery_id, first.user_id, channel, first.notification_id, request
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

    def _reopen(self) -> None:
        """All of their receipts are told again."""
        for delivery_id in self._to_reopen:
            self.deliveries[delivery_id].is_plain = False
        for receipt in self._receipts:
            if receipt.kind == "delivery" and receipt.delivery_id in self._to_reopen:
                self.deliveries[receipt.delivery_id].receipts += (receipt,)
