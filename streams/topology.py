"""The whole flow, role by role, top to bottom: which topic feeds which stage, most urgent first.

What a stage writes stands in its own first line. Nothing registers itself: what is not named
here does not run.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from agents.accept_broadcast import AcceptBroadcast
from agents.decide import Decide
from agents.dispatch import DispatchTerms
from agents.fan_out import FanOut, StartBroadcast
from agents.keep_addresses import KeepAddresses
from agents.keep_inbox import KeepInbox
from agents.keep_recipients import KeepRecipients
from agents.pace import Pace
from agents.proofread import Proofread
from agents.receipts import ReceiptWriter
from agents.reconsider import Reconsider
from agents.release import Release
from agents.send import Send
from agents.settlement import Terms
from agents.stage import Stage
from agents.wake import Wake
from channels.base import Sender
from channels.rendering import Rendering
from policies.clock import Clock
from policies.rules import Rules
from policies.stops import StopList
from schemas import topics
from schemas.batch_record import RequestDecoder, parts_of
from schemas.broadcast import decode_accepted
from schemas.decode import ControlDecoder, Decoder, MessageDecoder, internal
from schemas.delivery import LANES, Body, Channel, Lane, decode_batch, decode_returned
from schemas.kafka import InboundRecord
from schemas.notification import BROADCAST_REQUEST, CANCELLATION, NOTIFICATION_REQUEST
from schemas.recipient import RECIPIENT_CHANGE
from schemas.recipient_events import decode_address_events, decode_derived, decode_import
from streams.engine.routes import Haste, Source, Timer, Topology
from streams.envelopes import RecordEnvelopes
from tables import broadcasts, waiting
from tables.send_schedule import SCHEDULES

T = TypeVar("T")

DECIDE = "decide"
ROLES = (DECIDE, "push", "email", "sms", "in_app")

_STATE, _URGENT, _USUAL, _BULK = 0, 1, 2, 3
"""What is known first, then critical lanes, then normal ones, then what may wait its turn."""
_PRIORITY: Mapping[Lane, int] = {"critical": _URGENT, "normal": _USUAL, "bulk": _BULK}
_HASTE: Mapping[Lane, Haste] = {"critical": "urgent", "normal": "urgent", "bulk": "bulk"}
_FEW = 8
"""Records that may hold a thousand facts or deliveries each."""
_A_TURN = 200
"""Bulk requests decided together: some milliseconds, which whatever is urgent may have to wait."""
_SENDING_WIDTH = 64


@dataclass(frozen=True, slots=True)
class FlowSettings:
    """What all roles go by."""

    rules: Rules
    partitions: int
    address_key: bytes
    """The secret of the keyed hash of addresses."""
    lanes: Mapping[str, Lane]
    """Ingress topics, each with the fastest lane it may use."""
    tenants: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Ingress topics that take requests of some tenants only."""
    sms_senders: tuple[str, ...] = ()
    on_ignored: Callable[[str, int], None] = field(default=lambda topic, count: None)
    """Told of fields that a newer schema version brought."""


@dataclass(frozen=True, slots=True)
class Outlet:
    """How a sender's role reaches people."""

    rendering: Rendering
    on_misconfigured: Callable[[str, str], None]
    sender: Sender | None = None
    """None for in-app, which no provider carries."""
    pace: Pace | None = None


def decide(settings: FlowSettings, stops: StopList) -> Topology:
    """All state of a user in one place: who is told what, when, by which channel, and why not."""
    partitions = settings.partitions
    terms = DispatchTerms(
        rules=settings.rules,
        partitions=partitions,
        address_key=settings.address_key,
        sms_senders=settings.sms_senders,
        cancelled=stops.cancelled,
    )

    def is_paused(body: Body) -> bool:
        return stops.paused_by(type_name=body.type, tenant=body.tenant) is not None

    keep_recipients = KeepRecipients(partitions=partitions, address_key=settings.address_key)
    keep_addresses = KeepAddresses(partitions=partitions)
    request = Decide(terms=terms, lanes=settings.lanes, tenants=settings.tenants)
    reconsider = Reconsider(terms=terms)
    accept = AcceptBroadcast(terms=terms)
    start = StartBroadcast(terms=terms)
    fan_out = FanOut(terms=terms, is_paused=is_paused)
    wake = Wake(terms=terms)
    proofread = Proofread()

    change = Decoder(RECIPIENT_CHANGE, on_ignored=settings.on_ignored)
    ask = RequestDecoder(NOTIFICATION_REQUEST, on_ignored=settings.on_ignored)
    announce = MessageDecoder(BROADCAST_REQUEST, on_ignored=settings.on_ignored)
    call_off = Decoder(CANCELLATION, on_ignored=settings.on_ignored)
    control = ControlDecoder(on_ignored=settings.on_ignored)

    return Topology(
        role=DECIDE,
        sources=(
            *_keyed(topics.RECIPIENTS_CHANGED, keep_recipients, change, _STATE, tells_state=True),
            _internal(topics.RECIPIENTS_DERIVED, keep_recipients, decode_derived, _STATE),
            _internal(topics.ADDRESSES_CHANGED, keep_addresses, decode_address_events, _STATE),
            *(
                source
                for topic, lane in settings.lanes.items()
                for source in _keyed(
                    topic, request, ask, _PRIORITY[lane], haste=_HASTE[lane], split=parts_of,
                )
            ),
            _internal(topics.DELIVERIES_RETURNED, reconsider, decode_returned, _USUAL),
            Source(topics.BROADCASTS_REQUESTED, accept, announce, _USUAL, take=_FEW),
            _internal(topics.BROADCASTS_ACCEPTED, start, decode_accepted, _USUAL),
            Source(topics.NOTIFICATIONS_CANCELLED, proofread, call_off, _USUAL),
            Source(topics.CONTROLS, proofread, control, _USUAL),
            _internal(
                topics.RECIPIENTS_IMPORTED, keep_recipients, decode_import, _BULK, haste="bulk"
            ),
        ),
        timers=(
            Timer("wake", wake, waiting.SCHEDULE, waiting.decode_due, _USUAL),
            Timer(
                "fan_out", fan_out, broadcasts.PROGRESS, broadcasts.decode_progress,
                _BULK, take=1, haste="bulk",
            ),
        ),
        envelopes=RecordEnvelopes(partitions=partitions),
    )  # fmt: skip


def send(
    channel: Channel, settings: FlowSettings, stops: StopList, outlet: Outlet, clock: Clock
) -> Topology:
    """One channel: its deliveries by lane, what comes due again, and what a pause let go."""
    terms = Terms(
        rules=settings.rules,
        stops=stops,
        receipts=ReceiptWriter(partitions=settings.partitions),
        partitions=settings.partitions,
        on_misconfigured=outlet.on_misconfigured,
    )
    stage: Stage[Any]
    if outlet.sender is None:
        stage, width = KeepInbox(rendering=outlet.rendering, terms=terms, clock=clock), 1
    else:
        assert outlet.pace is not None, "whoever calls a provider has a pace"
        width = _SENDING_WIDTH
        stage = Send(
            sender=outlet.sender,
            rendering=outlet.rendering,
            pace=outlet.pace,
            terms=terms,
            clock=clock,
        )
    release = Release(stops=stops)
    # A call waits for its permit by itself; but what was intended meanwhile is in doubt when the
    # wait ends with the process, though nobody was called.
    return Topology(
        role=channel,
        sources=tuple(
            _internal(
                topics.deliveries(channel, lane), stage, decode_batch, _PRIORITY[lane],
                width=width, haste=_HASTE[lane], needs_permit=True,
            )
            for lane in LANES
        ),
        timers=(
            *(
                Timer(
                    f"due.{lane}", stage, SCHEDULES[lane], decode_batch,
                    _PRIORITY[lane], take=_FEW, width=width, haste=_HASTE[lane],
                    needs_permit=True,
                )
                for lane in LANES
            ),
            Timer("release", release, release, decode_batch, _BULK, take=_FEW),
        ),
        envelopes=RecordEnvelopes(partitions=settings.partitions),
    )  # fmt: skip


def _keyed(
    topic: str,
    stage: Stage[Any],
    decode: Callable[..., Any],
    priority: int,
    *,
    haste: Haste = "usual",
    tells_state: bool = False,
    split: Callable[[InboundRecord], Sequence[InboundRecord]] | None = None,
) -> tuple[Source, Source]:
    """A topic keyed by user, and where its misplaced records are sent."""
    first = Source(
        topic, stage, decode, priority, user_of=_user_of, tells_state=tells_state, split=split,
        haste=haste,
    )  # fmt: skip
    if haste == "bulk":
        first = replace(first, take=_A_TURN)
    forwarded = replace(
        first,
        topic=topics.forwarded(topic),
        user_of=None,
        split=None,  # what was misplaced went on its way alone
        is_forwarded=True,
        tells_state=False,  # it ends with a marker: nobody can tell that it was read to its end
    )
    return first, forwarded


def _internal(
    topic: str,
    stage: Stage[Any],
    decode: Callable[[bytes], T],
    priority: int,
    *,
    width: int = 1,
    haste: Haste = "usual",
    needs_permit: bool = False,
) -> Source:
    """A topic that only we write."""
    return Source(
        topic, stage, internal(decode), priority,
        take=_FEW, width=width, haste=haste, needs_permit=needs_permit,
    )  # fmt: skip


def _user_of(said: Any) -> str:
    user_id: str = said.user_id
    return user_id
