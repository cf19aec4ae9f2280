"""What a sender is and what it is handed; everything provider-specific hides behind `Sender`.

A sender knows one provider's wire and nothing of Kafka, tables, retries or rate limits. It is
handed deliveries that are already rendered and answers with one `Outcome` for each; whatever
follows from an outcome is decided elsewhere.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from schemas.delivery import Channel
from schemas.outcome import Outcome


class EmailContent(msgspec.Struct, frozen=True):
    """`subject` is one line without control characters; `html` may be empty, `text` never is."""

    subject: str
    text: str
    html: str = ""


class PushContent(msgspec.Struct, frozen=True):
    """`data` goes to the app, not to the person; `image` is a URL or empty."""

    title: str
    body: str
    data: Mapping[str, str] = {}
    image: str = ""


class SmsContent(msgspec.Struct, frozen=True):
    text: str


class InAppContent(msgspec.Struct, frozen=True):
    """Kept in the recipient's inbox by a stage; no sender takes it."""

    title: str
    body: str
    data: Mapping[str, str] = {}


Content = EmailContent | PushContent | SmsContent | InAppContent


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """One delivery, rendered and addressed.

    Deliveries with equal content hold the *same* content object: so those that may share a request
    are told by its identity, which costs nothing.
    """

    delivery_id: bytes
    notification_id: bytes
    user_id: str
    address: str
    content: Content
    expires_ms: int
    """After it the message is worthless; handed to every provider that can drop it then."""
    collapse_key: str = ""
    sender: str = ""
    """SMS: the number or short code that it goes out from."""
    round: int = 0
    attempt: int = 1
    """Which replay and which attempt this is; given to the provider, so that what it reports
    later can be told apart from what it says of an earlier one."""


NOT_ENABLED = "not_enabled"
"""The reason of a `Misconfigured` that concerns some recipients only (a country, a platform):
the provider itself is fine and goes on with the others."""


class Sender(Protocol):
    """One provider of one channel."""

    @property
    def provider(self) -> str:
        """The provider's name in `faust.yaml` and on receipts."""
        ...

    @property
    def channel(self) -> Channel: ...

    @property
    def max_batch(self) -> int:
        """Deliveries that one `send` may be handed, at most."""
        ...

    @property
    def timeout_seconds(self) -> float:
        """No `send` takes longer."""
        ...

    async def start(self) -> None:
        """Opens what `send` needs; called once, inside the event loop, before the first `send`."""
        ...

    async def send(self, batch: Sequence[Outgoing]) -> Sequence[Outcome]:
        """One outcome per delivery, in order; a batch has one content object, and no address twice.

        It is one request, since it has one token of the provider's rate; but for FCM's second one with
        a new access token.

        Raises only bugs: whatever the network or the provider does is an outcome. May be
        called concurrently. A caller that cancels it must treat the deliveries as `Unknown`.
        """
        ...

    async def close(self) -> None:
        """Closes connections; safe to call twice and without `start`."""
        ...
