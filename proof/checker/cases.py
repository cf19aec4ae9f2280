"""What was asked for whom by which channel, and all that is known of it."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

import msgspec

from proof.checker.evidence import Accept, Asked, Receipt, Request
from proof.checker.instants import ms_of, text_of

R = TypeVar("R", bound=Request)
Unit = tuple[str, int]
"""Device ("" for the delivery as a whole) and round."""
Key = tuple[str, str, str]
"""What a producer names a request by, in its scope: tenant and user ("" for a broadcast)."""
_COUNTED_REASONS = frozenset({"quiet_hours", "legal_window"})


class Delivery(msgspec.Struct, gc=False, eq=False):
    """One notification, one user, one channel."""

    id: str
    user_id: str
    channel: str
    notification_id: str
    request: Request | None
    """None where no producer asked for it."""
    accepts: tuple[Accept, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    is_plain: bool = False
    """There is nothing more to ask about it, and nothing more is kept; see `plain`. Until its cases are
    settled, that is said of what is told of it alone."""
    device_id: str | None = None
    """Which is told to have it, if it is plain; None where nobody tells."""
    _queued_at: str = ""
    _sent_at: str = ""

    @property
    def ids(self) -> tuple[str, ...]:
        """What to look at."""
        number = str(self.request.number) if self.request else "?"
        return f"delivery {self.id}", f"intent {number}", f"user {self.user_id}"

    def close(self, queued: Receipt, sent: Receipt) -> None:
        """It is told plainly: queued, and sent."""
        self._queued_at, self._sent_at = queued.occurred_at, sent.occurred_at
        self.device_id, self.is_plain = sent.device_id, True

    def close_untold(self) -> None:
        """It is plain, and nobody tells: accepted once."""
        self._queued_at = self._sent_at = text_of(self.accepts[0].at_ms)
        self.is_plain = True

    def sent_ms(self) -> int:
        """When it was told to be sent, if it is plain."""
        return ms_of(self._sent_at)

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

    def told_ms(self) -> int:
        """When it was first told of."""
        return ms_of(self._queued_at if self.is_plain else self.receipts[0].occurred_at)

    def ended_ms(self) -> int | None:
        """When the last of it was told; None while some of it goes on."""
        if self.is_plain:
            return self.sent_ms()
        if not all(any(each.is_end for each in some) for some in self.units().values()):
            return None
        return max(ms_of(each.occurred_at) for each in self.ends())

    def passed_ms(self) -> int | None:
        """When it was decided for, so that it counts where there are limits; whoever was reached
        counts, even if nobody tells of that."""
        if self.is_plain:
            return ms_of(self._queued_at)
        for each in self.receipts:
            is_counted = each.status == "deferred" and each.reason in _COUNTED_REASONS
            if each.status == "queued" or is_counted:
                return ms_of(each.occurred_at)
        if self.accepts:
            return self.accepts[0].at_ms
        sent = (ms_of(each.occurred_at) for each in self.receipts if each.status == "sent")
        return next(sent, None)


class Case(msgspec.Struct, gc=False, eq=False):
    """What became of one request: deliveries, or a word that refuses it."""

    request: Request
    deliveries: list[Delivery] = []
    refusals: tuple[Receipt, ...] = ()

    @property
    def said(self) -> Asked:
        return self.request.said

    @property
    def ids(self) -> tuple[str, ...]:
        return ids_of(self.request)

    def reached(self) -> Iterator[tuple[str, str]]:
        """Users and channels that deliveries were told of."""
        return ((each.user_id, each.channel) for each in self.deliveries)


def ids_of(request: Request) -> tuple[str, ...]:
    """What to look at."""
    place = f"{request.topic}:{request.partition}:{request.offset}"
    return f"intent {request.number}", f"user {request.said.user_id}", place


def key_of(request: Request) -> Key | None:
    """None for one without a key, which repeats nothing."""
    said = request.said
    key = said.idempotency_key
    return None if key is None else (said.tenant, said.user_id, key)


def same_key(requests: Sequence[R]) -> Iterator[list[R]]:
    """Requests that share a key, in the order they were appended; one without a key is alone."""
    keyed: dict[Key, list[R]] = {}
    for request in requests:
        key = key_of(request)
        if key is None:
            yield [request]
        else:
            keyed.setdefault(key, []).append(request)
    for group in keyed.values():
        if len(group) > 1:
            group.sort(key=lambda each: each.at_ms)
        yield group


def in_one_window(requests: Sequence[R], window_ms: int) -> Iterator[list[R]]:
    """Likewise, in the order they were appended; a key that was at rest for the window is a new one."""
    for group in same_key(requests):
        began = 0
        for place, (former, later) in enumerate(pairwise(group), 1):
            if later.at_ms - former.at_ms >= window_ms:
                yield group[began:place]
                began = place
        yield group[began:]
