"""`Profile`: everything known about one recipient, the row that decisions read.

Each thing a person or a system can say carries who said it and when, because a person's own
choice yields only to a newer choice of that person, never to an import or a producer's sync.
Times are epoch milliseconds.
"""

from typing import Literal

import msgspec

Source = Literal["user", "producer", "import", "provider"]


class Choice(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """On or off, as said by `source`."""

    enabled: bool
    source: Source
    occurred_ms: int


class Text(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A value (address, zone, locale, quiet hours, ...) as said by `source`; "" means none."""

    value: str
    source: Source
    occurred_ms: int


class Count(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A number (a person's own daily limit); None means no limit of their own."""

    value: int | None
    source: Source
    occurred_ms: int


class Device(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A phone or browser that push goes to."""

    device_id: str
    token: str
    platform: str
    occurred_ms: int
    """When it was registered; a removal that is older is ignored."""


class ChannelPreference(msgspec.Struct, array_like=True):
    """What the recipient wants of one channel; None where nothing was said."""

    enabled: Choice | None = None
    quiet_hours: Text | None = None
    daily_limit: Count | None = None


class Suppression(msgspec.Struct, array_like=True, frozen=True):
    """A bar on the recipient's address of one channel, by a provider or an operator."""

    reason: str
    occurred_ms: int
    until_ms: int = 0
    """0: until released."""


class Profile(msgspec.Struct, array_like=True):
    """One recipient. Absent members were never said."""

    name: Text | None = None
    locale: Text | None = None
    timezone: Text | None = None
    email: Text | None = None
    phone: Text | None = None
    devices: list[Device] = []
    channels: dict[str, ChannelPreference] = {}
    types: dict[str, Choice] = {}
    suppressions: dict[str, Suppression] = {}
    """Channel to the bar on its present address."""
    removed_devices: dict[str, int] = {}
    """device_id to the time of its removal, so that an older registration does not bring it back."""
    deleted_ms: int = 0


encode_profile = msgspec.msgpack.Encoder().encode
decode_profile = msgspec.msgpack.Decoder(Profile).decode
