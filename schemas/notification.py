"""What producers ask for: one notification, a broadcast, or that one of them be called off."""

import hashlib
from typing import Annotated, Any, Literal, Self

import msgspec
from pydantic import AfterValidator, Field, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError

from schemas import ids
from schemas.addresses import Email, Locale, Phone, Timezone
from schemas.delivery import Channel, Lane
from schemas.fields import (
    CollapseKey,
    Contract,
    Data,
    Id,
    Instant,
    Key,
    Label,
    Metadata,
    Name,
    UserId,
)
from schemas.instants import to_ms

MAX_BROADCAST_USERS = 10_000

_encode_sorted = msgspec.msgpack.Encoder(order="sorted").encode
_begun_fingerprint = hashlib.blake2b(digest_size=16)
"""To copy it takes half of the time of a new one."""


def fingerprint_of(*content: Any) -> bytes:
    """Sixteen bytes that are the same for the same content, whatever the order of its fields."""
    digest = _begun_fingerprint.copy()
    digest.update(_encode_sorted(content))
    return digest.digest()


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) != len(values):
        raise PydanticCustomError("not_distinct", "Items should be distinct")
    return values


Channels = Annotated[
    list[Channel],
    # The first wrong one will do: a record full of them would hold up its neighbours for a second.
    Field(min_length=1, fail_fast=True),
    AfterValidator(_distinct),
]


class InlineRecipient(Contract):
    """Addresses for a user who may not be known yet: a sign-up code must not meet "no address".

    They are used for this notification only and remembered nowhere.
    """

    email: Email | None = None
    phone: Phone | None = None
    name: Label | None = None
    locale: Locale | None = None
    timezone: Timezone | None = None


class Message(Contract):
    """What a single request and a broadcast have in common."""

    type: Name
    """What happened, as declared in faust.yaml."""
    channels: Channels | None = None
    """Narrows the type's channels."""
    data: Data = Field(default_factory=dict)
    """What the type's templates speak of."""
    idempotency_key: Key | None = None
    """Two requests with the same key within the window are one."""
    tenant: Name | None = None
    """On whose behalf; part of what an idempotency key is unique in."""
    requested_at: Instant | None = None
    """When it happened; the record's time when absent."""
    send_at: Instant | None = None
    """Not before; at once when absent or past."""
    expires_at: Instant | None = None
    """After it the notification is worthless."""
    ttl_seconds: int | None = Field(default=None, gt=0, le=365 * 86_400)
    """Counted from `requested_at`, or the record's time; instead of `expires_at`."""
    priority: Lane | None = None
    """Lowers the lane; never above the type's."""
    collapse_key: CollapseKey | None = None
    """A newer notification replaces an undelivered older one of the same key."""
    metadata: Metadata = Field(default_factory=dict)
    """Echoed on every receipt."""

    @model_validator(mode="after")
    def _one_expiry(self) -> Self:
        if self.expires_at is not None and self.ttl_seconds is not None:
            raise PydanticCustomError(
                "two_expiries", "Either expires_at or ttl_seconds should be given, not both"
            )
        return self

    def expires_ms(self, appended_ms: int) -> int | None:
        """When the producer says that it is worthless; None leaves it to the type."""
        if self.expires_at is not None:
            return to_ms(self.expires_at)
        if self.ttl_seconds is not None:
            return self.requested_ms(appended_ms) + self.ttl_seconds * 1000
        return None

    def requested_ms(self, appended_ms: int) -> int:
        return appended_ms if self.requested_at is None else to_ms(self.requested_at)

    def send_ms(self) -> int | None:
        return None if self.send_at is None else to_ms(self.send_at)

    def fingerprint(self) -> bytes:
        """What makes two requests with one key the same request; times do not count."""
        return fingerprint_of(self.type, sorted(self.channels or ()), self.data)


class NotificationRequest(Message):
    """Tell one user once."""

    user_id: UserId
    recipient: InlineRecipient | None = None
    """Used instead of what is known of the user, member by member."""


class BroadcastRequest(Message):
    """Tell everyone of an audience, or of a list of users."""

    audience: Name | None = None
    """Whom recipients joined; instead of `user_ids`."""
    user_ids: Annotated[list[UserId], AfterValidator(_distinct)] | None = Field(
        default=None, min_length=1, max_length=MAX_BROADCAST_USERS
    )
    """Named users, all different; instead of `audience`."""
    max_per_second: int | None = Field(default=None, gt=0, le=1_000_000)
    """Of the whole broadcast; as fast as it goes when absent."""

    @model_validator(mode="after")
    def _one_audience(self) -> Self:
        if (self.audience is None) == (self.user_ids is None):
            raise PydanticCustomError(
                "not_one_audience", "Either audience or user_ids should be given"
            )
        return self

    def fingerprint(self) -> bytes:
        return fingerprint_of(
            self.type, sorted(self.channels or ()), self.data,
            self.audience, sorted(self.user_ids or ()),
        )  # fmt: skip


class Cancellation(Contract):
    """Call off a notification, by its id or by what its id is made of, or a whole broadcast.

    What a provider already has cannot be called back.
    """

    notification_id: Id | None = None
    broadcast_id: Id | None = None
    tenant: Name | None = None
    user_id: UserId | None = None
    idempotency_key: Key | None = None
    occurred_at: Instant | None = None
    reason: Label | None = None

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        by_key = (self.user_id is not None, self.idempotency_key is not None)
        named = (self.notification_id is not None, self.broadcast_id is not None, any(by_key))
        if sum(named) != 1 or by_key[0] != by_key[1]:
            raise PydanticCustomError(
                "not_one_target",
                "Exactly one should be given: notification_id, broadcast_id, "
                "or user_id with idempotency_key",
            )
        return self

    def target_id(self) -> bytes:
        """The id of the notification or broadcast meant."""
        if (text := self.notification_id or self.broadcast_id) is not None:
            return ids.from_text(text)
        return ids.notification_id(
            self.tenant or "", self.user_id or "", self.idempotency_key or ""
        )


class Control(Contract):
    """Pause or resume what goes out by one channel, type, tenant or provider."""

    action: Literal["pause", "resume"]
    scope: Literal["channel", "type", "tenant", "provider"]
    name: Name
    occurred_at: Instant
    reason: Label | None = None

    def record_key(self) -> bytes:
        """The topic is compacted by it: the last word on each thing stays."""
        return f"{self.scope}:{self.name}".encode()


NOTIFICATION_REQUEST = TypeAdapter(NotificationRequest)
BROADCAST_REQUEST = TypeAdapter(BroadcastRequest)
CANCELLATION = TypeAdapter(Cancellation)
CONTROL = TypeAdapter(Control)
