"""Whether there is more to hear of a notification, from its receipts."""

from collections.abc import Collection

from policies.receipt_merge import DeliveryState, fold
from schemas.delivery import Channel
from schemas.receipt import Receipt


class Following:
    """Takes receipts until the notification is settled.

    A delivery counts as settled once a provider has it: whether it arrives is told by reports
    that may never come.
    """

    def __init__(
        self, notification_id: str, *, fallback: Collection[Channel] = (), resends: bool = False
    ) -> None:
        """`fallback` is the type's; `resends` when what is in doubt goes on to it at last."""
        self._notification_id = notification_id
        self._fallback = fallback
        self._gives_way = {"failed", "in_doubt"} if resends else {"failed"}
        self._states: dict[str, DeliveryState] = {}
        self._channels: set[str] = set()
        self._is_refused = False

    def note(self, receipt: Receipt) -> bool:
        """Whether the receipt is about this notification."""
        if receipt.notification_id != self._notification_id:
            return False
        if receipt.kind == "request":
            self._is_refused = True
        state = fold(self._states.get(receipt.delivery_id), [receipt])
        if state is not None:
            self._states[receipt.delivery_id] = state
            self._channels.add(receipt.channel)
        return True

    @property
    def is_settled(self) -> bool:
        if self._is_refused:
            return True
        if not self._states or not all(map(_is_over, self._states.values())):
            return False
        is_untried = any(channel not in self._channels for channel in self._fallback)
        return not (is_untried and any(map(self._goes_on, self._states.values())))

    def _goes_on(self, state: DeliveryState) -> bool:
        """What our own error ended is not continued."""
        return state.status in self._gives_way and state.reason != "stage_error"


def _is_over(state: DeliveryState) -> bool:
    return state.is_final or state.status == "sent"
