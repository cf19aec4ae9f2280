"""From a request to what is to be told: body, lane, channels."""

from functools import cache

import msgspec

from policies.profile_changes import AddressHash
from policies.rules import NotificationType
from schemas.decode import traceparent_of
from schemas.delivery import LANES, Body, Channel, Lane
from schemas.notification import InlineRecipient, Message
from schemas.profile import Address, Profile, Wishes, pack_wishes

_UNKNOWN = Profile()


def body_of(
    message: Message,
    kind: NotificationType,
    *,
    appended_ms: int,
    traceparent: bytes | None,
    broadcast_id: bytes = b"",
    inline: Profile | None = None,
) -> Body:
    """The type's own time to live is counted from when it is to go out. A channel that was asked
    for by name is no fallback: it is refused, and a delivery has one end."""
    fallback = kind.fallback
    if fallback and message.channels is not None:
        fallback = tuple(each for each in fallback if each not in message.channels)
    expires_ms = message.expires_ms(appended_ms)
    if expires_ms is None:
        starts_ms = max(message.requested_ms(appended_ms), message.send_ms() or 0)
        expires_ms = starts_ms + kind.ttl_seconds * 1000
    return Body(
        type=kind.name,
        category=kind.category.name,
        data=message.data,
        expires_ms=expires_ms,
        tenant=message.tenant or "",
        broadcast_id=broadcast_id,
        collapse_key=message.collapse_key or "",
        metadata=message.metadata,
        traceparent=traceparent_of(traceparent),
        fallback=fallback,
        accepted_ms=appended_ms,
        inline=inline,
    )


@cache
def lane_of(*limits: Lane | None) -> Lane:
    """The slowest of them: a topic's, a category's, what a producer asks for."""
    return LANES[max(LANES.index(lane) for lane in limits if lane is not None)]


def channels_of(message: Message, kind: NotificationType) -> tuple[Channel, ...]:
    return kind.channels if message.channels is None else tuple(message.channels)


def inline_profile(recipient: InlineRecipient | None, hash_of: AddressHash) -> Profile | None:
    """What a request says of its recipient, for this notification only."""
    if recipient is None:
        return None

    def address(channel: str, text: str | None) -> Address | None:
        return Address(text, hash_of(channel, text)) if text else None

    return Profile(
        name=recipient.name or "",
        locale=recipient.locale or "",
        email=address("email", recipient.email),
        phone=address("sms", recipient.phone),
        packed_wishes=pack_wishes(Wishes(timezone=recipient.timezone or "")),
    )


def with_inline(profile: Profile | None, inline: Profile | None) -> Profile:
    """What is known of the recipient, with what the request says in its place.

    Wishes, suppressions and devices are the known ones: a request cannot lift an opt-out.
    """
    known = profile or _UNKNOWN
    if inline is None:
        return known
    zone = inline.wishes.timezone
    wishes = msgspec.structs.replace(known.wishes, timezone=zone) if zone else None
    return msgspec.structs.replace(
        known,
        name=inline.name or known.name,
        locale=inline.locale or known.locale,
        email=inline.email or known.email,
        phone=inline.phone or known.phone,
        packed_wishes=pack_wishes(wishes) if wishes else known.packed_wishes,
    )
