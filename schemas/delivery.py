"""`DeliveryBatch`: what stages hand to senders, many deliveries in one record.

A record with a thousand recipients costs Kafka and Faust the same as one with one, so
deliveries always travel in batches: a slice of a broadcast shares one body, single
notifications decided in one group bring one body each.
"""

from typing import Any, Literal

import msgspec

from schemas.profile import Profile

Channel = Literal["push", "email", "sms", "in_app"]
CHANNELS: tuple[Channel, ...] = ("push", "email", "sms", "in_app")

Lane = Literal["critical", "normal", "bulk"]
LANES: tuple[Lane, ...] = ("critical", "normal", "bulk")  # in the order they are served

MAX_BATCH_BYTES = 256 * 1024
"""A delivery batch's encoded size stays below this, so that a group commit of several fits 1 MB."""


class Body(msgspec.Struct, array_like=True, frozen=True):
    """What all targets of one notification or broadcast share. Times are epoch milliseconds."""

    type: str
    category: str
    data: dict[str, Any]
    expires_ms: int
    tenant: str = ""
    broadcast_id: bytes = b""
    collapse_key: str = ""
    metadata: dict[str, Any] = {}
    traceparent: str = ""
    fallback: tuple[Channel, ...] = ()
    """Channels still to be tried, in order, when this delivery fails for good."""
    accepted_ms: int = 0
    """When the broker appended the request's first record: part of every delivery id of it."""
    inline: Profile | None = None
    """What came with the request about its recipient: for whatever of it waits, or falls back."""


class Target(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One recipient (for push: one of the recipient's devices) of a delivery."""

    user_id: str
    notification_id: bytes
    delivery_id: bytes
    address: str
    """E-mail address, E.164 number or device token; empty for in-app."""
    address_hash: bytes = b""
    """Keyed hash of channel and normalised address: what suppressions and takeovers speak of."""
    body: int = 0
    """Index into the batch's bodies."""
    locale: str = ""
    name: str = ""
    device_id: str = ""
    device_count: int = 1
    """How many devices this delivery goes to: it failed only when all of them did."""
    quiet: str = ""
    """Times of day at which it must not be sent; see `policies/quiet_times.py`."""


class DeliveryBatch(msgspec.Struct, array_like=True, frozen=True):
    """Deliveries of one channel and lane for the partition that the record is in."""

    channel: Channel
    lane: Lane
    bodies: list[Body]
    targets: list[Target]
    released_ms: int
    """What was said before was known when it was decided: senders mind what came later, and give
    up what is older than their tails."""
    slice_id: bytes = b""
    """Not empty: all targets are one ledger unit (a slice of a broadcast)."""
    round: int = 0
    """How often these deliveries were replayed from the dead letters."""
    attempt: int = 1
    """The attempt that the next call is, from 1; decides the place on the retry ladder."""
    call: int = 1
    """The provider call that the next one is, from 1; also counts calls that consumed no attempt, and
    waits instead of a call."""
    sender: str = ""
    """SMS: the sender id whose bucket paces it and whose hash names the partition."""
    held_attempt: int = 0
    """The attempt of which it was told that bad credentials hold it back: once, not at every try."""
    free_calls: int = 0
    """The last calls, one after the other, that the provider did not take and that cost no attempt: each
    makes the next wait longer. A wait for a rate token is none."""

    def body_of(self, target: Target) -> Body:
        return self.bodies[target.body]


class Returned(msgspec.Struct, array_like=True, frozen=True):
    """What a sender gives back to decide: deliveries that failed for good and name a fallback."""

    channel: Channel
    lane: Lane
    reason: str
    bodies: list[Body]
    targets: list[Target]


encode_body = msgspec.msgpack.Encoder().encode
encode_batch = msgspec.msgpack.Encoder().encode
decode_batch = msgspec.msgpack.Decoder(DeliveryBatch).decode
encode_returned = msgspec.msgpack.Encoder().encode
decode_returned = msgspec.msgpack.Decoder(Returned).decode
