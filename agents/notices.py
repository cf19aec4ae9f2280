"""From a request to what is to be told: body, lane, channels."""

from policies.rules import NotificationType
from schemas.decode import traceparent_of
from schemas.delivery import LANES, Body, Channel, Lane
from schemas.notification import InlineRecipient, Message
from schemas.profile import Profile, Text


def body_of(
    message: Message,
    kind: NotificationType,
    *,
    appended_ms: int,
    traceparent: bytes | None,
    broadcast_id: bytes = b"",
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
    )


def lane_of(*limits: Lane | None) -> Lane:
    """The slowest of them: a topic's, a category's, what a producer asks for."""
    return LANES[max(LANES.index(lane) for lane in limits if lane is not None)]


def channels_of(message: Message, kind: NotificationType) -> tuple[Channel, ...]:
    return kind.channels if message.channels is None else tuple(message.channels)


def inline_profile(recipient: InlineRecipient | None) -> Profile | None:
    """What a request says of its recipient, for this notification only."""
    if recipient is None:
        return None

    def text(value: str | None) -> Text | None:
        return None if value is None else Text(value, "producer", 0)

    return Profile(
        name=text(recipient.name),
        locale=text(recipient.locale),
        timezone=text(recipient.timezone),
        email=text(recipient.email),
        phone=text(recipient.phone),
    )


def with_inline(profile: Profile | None, inline: Profile | None) -> Profile:
    """What is known of the recipient, with what the request says in its place.

    Wishes, suppressions and devices are the known ones: a request cannot lift an opt-out.
    """
    known = profile or Profile()
    if inline is None:
        return known
    return Profile(
        name=inline.name or known.name,
        locale=inline.locale or known.locale,
        timezone=inline.timezone or known.timezone,
        email=inline.email or known.email,
        phone=inline.phone or known.phone,
        devices=known.devices,
        channels=known.channels,
        types=known.types,
        suppressions=known.suppressions,
        removed_devices=known.removed_devices,
        deleted_ms=known.deleted_ms,
    )
