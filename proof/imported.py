"""What a line of an import says, as the changes it stands for."""

from collections.abc import Iterator
from typing import Any

from schemas.instants import rfc3339
from schemas.recipient_events import ImportedRecipient


def changes_of(line: ImportedRecipient) -> Iterator[dict[str, Any]]:
    """As `recipients.changed` would have them, each by an import."""
    said = {
        "user_id": line.user_id, "source": "import", "occurred_at": rfc3339(line.occurred_ms)
    }  # fmt: skip
    known = {"email": line.email, "phone": line.phone, "timezone": line.timezone}
    yield said | {"change": "recipient_updated"} | {k: v for k, v in known.items() if v}
    preferences: dict[str, Any] = {"types": line.types} if line.types else {}
    for wish in line.wishes:
        named = {
            "enabled": wish.enabled, "quiet_hours": wish.quiet_hours or None,
            "daily_limit": wish.daily_limit,
        }  # fmt: skip
        preferences[wish.channel] = {k: v for k, v in named.items() if v is not None}
    if preferences:
        yield said | {"change": "preferences_updated", "preferences": preferences}
    for audience in line.audiences:
        yield said | {"change": "audience_joined", "audience": audience}
    for device in line.devices:
        registered = {"device_id": device.device_id, "token": device.token}
        yield said | {"change": "device_registered"} | registered
