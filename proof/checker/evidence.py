"""What is known from outside: promises, acceptances, receipts, dead letters, and the blows between.

Slim structs without references to each other: there may be millions. What was not said is not
written down, which is read faster. Times are epoch milliseconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from proof.checker.rules import Rules
from sandbox.ledger import Refused

CHANNELS = ("push", "email", "sms", "in_app")


class Slim(msgspec.Struct, gc=False, array_like=True):
    """A line of a ledger."""


class Data(msgspec.Struct, gc=False, frozen=True):
    """What templates of the proof show: so an acceptance tells which request it is about."""

    number: str = ""


class Inline(msgspec.Struct, gc=False, omit_defaults=True):
    """Addresses that came with a request."""

    email: str = ""
    phone: str = ""
    timezone: str = ""


class Asked(msgspec.Struct, gc=False, omit_defaults=True):
    """A request, or a broadcast, as its producer wrote it."""

    type: str
    user_id: str = ""
    audience: str = ""
    user_ids: tuple[str, ...] = ()
    channels: list[str] | None = None
    data: Data = Data()
    idempotency_key: str | None = None
    tenant: str = ""
    requested_at: str | None = None
    send_at: str | None = None
    expires_at: str | None = None
    ttl_seconds: int | None = None
    recipient: Inline | None = None
    contents: dict[str, int] | None = None
    """Where more is shown than the number: hash of what is, by locale, "" for all others."""
    mood: str = ""
    """What a producer of a later schema version says besides; nothing is judged by it."""

    def content(self) -> tuple[object, ...]:
        """Two requests with one key are the same when this is."""
        return (
            self.type, sorted(self.channels or ()), self.data.number,
            self.audience, sorted(self.user_ids),
        )  # fmt: skip


class Request(Slim, tag="request"):
    """Acknowledged by the broker; `number` is the intent's, echoed on receipts as metadata."""

    number: int
    at_ms: int
    topic: str
    partition: int
    offset: int
    said: Asked


class Broadcast(Request, tag="broadcast"):
    """Likewise, to an audience or a list."""


class Unsure(Slim, tag="unsure"):
    """Produced, and the broker never said whether it has it: nothing was promised, all may happen."""

    number: int
    user_id: str = ""
    key: str = ""


class Wish(msgspec.Struct, gc=False, omit_defaults=True):
    """What is said of one channel; UNSET where nothing is."""

    enabled: bool | msgspec.UnsetType | None = msgspec.UNSET
    quiet_hours: str | msgspec.UnsetType | None = msgspec.UNSET
    daily_limit: int | msgspec.UnsetType | None = msgspec.UNSET


class Preferences(msgspec.Struct, gc=False, frozen=True, omit_defaults=True):
    push: Wish | None = None
    email: Wish | None = None
    sms: Wish | None = None
    in_app: Wish | None = None
    types: dict[str, bool] = {}

    def by_channel(self) -> Iterator[tuple[str, Wish]]:
        for channel in CHANNELS:
            wish: Wish | None = getattr(self, channel)
            if wish is not None:
                yield channel, wish


class Said(msgspec.Struct, gc=False, omit_defaults=True):
    """What became known of a recipient, and by whom."""

    change: str
    user_id: str
    occurred_at: str
    source: str = "producer"
    email: str | msgspec.UnsetType | None = msgspec.UNSET
    phone: str | msgspec.UnsetType | None = msgspec.UNSET
    timezone: str | msgspec.UnsetType | None = msgspec.UNSET
    locale: str | msgspec.UnsetType | None = msgspec.UNSET
    preferences: Preferences = Preferences()
    device_id: str = ""
    token: str = ""
    audience: str = ""
    channel: str = ""
    until: str | None = None


class Change(Slim, tag="change"):
    """On `recipients.changed`; of an import, a change for each thing that a line says."""

    at_ms: int
    topic: str
    partition: int
    offset: int
    said: Said
    is_misplaced: bool = False
    """In another partition than its user's, so that it is sent on before it counts."""

    @property
    def is_prompt(self) -> bool:
        """It is read before all that is decided for its user, and takes no detour."""
        return self.is_tailed and not self.is_misplaced

    @property
    def is_tailed(self) -> bool:
        """Senders follow it as it is; an import they hear of once `decide` has read it."""
        return self.said.source != "import"


class Cancellation(Slim, tag="cancellation"):
    """Of a user's key, or (`user_id` "") of the broadcast with this key."""

    at_ms: int
    key: str
    user_id: str = ""
    tenant: str = ""


class Control(Slim, tag="control"):
    at_ms: int
    action: str
    scope: str
    name: str


class Known(Slim, tag="known"):
    """Everything that was said before had been read by then."""

    at_ms: int


class Rubbish(Slim, tag="rubbish"):
    """A record that nobody can read."""

    at_ms: int
    topic: str
    partition: int
    offset: int
    part: int = -1
    """Of a batch record; -1 where it is the record itself."""


Promise = Request | Broadcast | Unsure | Change | Cancellation | Control | Known | Rubbish


class Call(Slim):
    """A line of the sandbox's ledger: a request that it accepted. What nobody asks for here is left
    as it is written."""

    sequence: msgspec.Raw
    at_ms: int
    provider: str
    status: msgspec.Raw
    message_id: msgspec.Raw
    round: int
    attempt: int
    delivery_ids: list[str]
    notification_ids: msgspec.Raw
    addresses: list[str]
    body_hashes: list[int]


class Accept(Slim):
    """One message that a provider took."""

    at_ms: int
    call: int
    """Which request of a client it came with: a batch has one."""
    provider: str
    line: str
    """What its rate limit speaks of: the provider, or the number an SMS goes out from; "" where no limit
    is to be held against it."""
    delivery_id: str
    address: str
    body_hash: int
    round: int = 0
    attempt: int = 0


class Refusal(Refused):
    """A call that a provider did not take, as its ledger has it."""

    line: str = ""
    """As of `Accept`."""

    @property
    def is_final(self) -> bool:
        """It is about one message, which will never be a better one."""
        return self.status == 400 and len(self.delivery_ids) == 1

    @property
    def binds(self) -> bool:
        """Something follows from it for the next call about the same."""
        return self.is_final or self.status in (0, 429) or self.status >= 500


class Meta(msgspec.Struct, gc=False, frozen=True):
    intent: int = -1


class Receipt(msgspec.Struct, gc=False, kw_only=True):
    """What of a receipt the checker looks at, in the order it is written, which is read faster."""

    receipt_id: str
    kind: str = "delivery"
    notification_id: str = ""
    delivery_id: str = ""
    broadcast_id: str = ""
    user_id: str
    channel: str = ""
    type: str = ""
    category: str = ""
    status: str
    is_final: bool = False
    state_rank: int = 0
    reason: str = ""
    round: int = 0
    attempt: int = 0
    device_id: str = ""
    device_count: int = 1
    occurred_at: str
    metadata: Meta = Meta()

    @property
    def is_end(self) -> bool:
        """Nothing more is to come of this round, unless a provider reports it."""
        return self.is_final or self.status == "sent"


class Shown(Slim):
    """A message that was put into an inbox, as what is kept there says; what a full inbox has forgotten
    since was there."""

    user_id: str
    delivery_id: str
    body_hash: int


class Letter(msgspec.Struct, gc=False):
    """A dead letter: a record, or deliveries given up."""

    kind: str
    topic: str
    partition: int
    offset: int
    cause: str = ""
    part: int = -1
    value: bytes | None = None
    """Of deliveries: the batch that was given up."""


class Blow(Slim):
    """A process was struck: what it had in hand may be in doubt."""

    at_ms: int
    role: str
    what: str
    in_flight: int = 0
    """Deliveries on their way in the whole installation when it came."""
    open_calls: int | None = None
    """Provider calls of the victim, as it last said; None where no worker was the victim."""


class Storm(Slim):
    """A provider did not behave: `throttle`, `refuse`, `reject`, `lose` (replies), `delay`."""

    channel: str
    from_ms: int
    until_ms: int
    effects: tuple[str, ...]


class Circumstances(msgspec.Struct):
    """What was done to the installation, and what is asked of it."""

    ended_ms: int
    """When the evidence was taken, all being at rest."""
    blows: list[Blow] = []
    storms: list[Storm] = []
    stop_ms: int = 1_000
    """What stops a delivery works within this."""
    lag_ms: int = 5_000
    """How far behind its reading a decision may be."""
    prompt_ms: int = 5_000
    """Likewise, where what it goes by stands in the user's own partition: that is read first."""
    askew_ms: int = 0
    """By how much the clocks that receipts are dated by may differ."""
    is_at_rest: bool = True
    """False when the time to come to rest was over before all had come to an end."""
    dead_addresses: tuple[str, ...] = ()
    """Beginnings of addresses that the provider refuses for good."""
    has_inboxes: bool = False
    """Whether the evidence tells what was put into them."""
    has_receipts: bool = True
    """False of a system that tells nobody what became of a delivery: see `untold`."""


@dataclass(slots=True)
class Evidence:
    """Of one installation, or of some of its users."""

    rules: Rules
    circumstances: Circumstances
    requests: list[Request] = field(default_factory=list)
    broadcasts: list[Broadcast] = field(default_factory=list)
    unsure: list[Unsure] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    cancellations: list[Cancellation] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    known: list[Known] = field(default_factory=list)
    rubbish: list[Rubbish] = field(default_factory=list)
    accepts: list[Accept] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)

    def add(self, promise: Promise) -> None:
        match promise:
            case Broadcast():
                self.broadcasts.append(promise)
            case Request():
                self.requests.append(promise)
            case Unsure():
                self.unsure.append(promise)
            case Change():
                self.changes.append(promise)
            case Cancellation():
                self.cancellations.append(promise)
            case Control():
                self.controls.append(promise)
            case Known():
                self.known.append(promise)
            case Rubbish():
                self.rubbish.append(promise)

    def all_requests(self) -> Iterator[Request]:
        yield from self.requests
        yield from self.broadcasts
