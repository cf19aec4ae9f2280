"""`Profile`: everything known about one recipient, the row that decisions read.

What holds comes plain, since a fan-out reads it for a million recipients in a row. Who said it
and when comes packed, since only a change asks: a person's own word yields only to a newer word
of that person, never to an import or a producer's sync. Wishes are packed too: many people have
the same ones, so they are read once for all of them. Times are epoch milliseconds.
"""

from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec

Source = Literal["user", "producer", "import", "provider"]

_HOT_WISHES = 16_384
"""Distinct wishes kept in memory, some hundred bytes each."""


class Word(NamedTuple):
    """Who said something, and when."""

    source: Source
    occurred_ms: int


class Choice(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """On or off, as said by `source`."""

    enabled: bool
    source: Source
    occurred_ms: int


class Address(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A mailbox or number, and its keyed hash."""

    text: str
    hash: bytes
    since_ms: int = 0
    """When it was said to be theirs; a bar that is older is on another one."""


class Device(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A phone or browser that push goes to."""

    device_id: str
    token: str
    platform: str
    occurred_ms: int
    """When it was registered; a removal that is older is ignored."""
    hash: bytes
    """The token's keyed hash."""


class ChannelWish(msgspec.Struct, array_like=True, frozen=True):
    """What the recipient wants of one channel."""

    enabled: bool | None = None
    """None: nothing was said."""
    quiet_hours: str = ""
    daily_limit: int | None = None
    """None: no limit of their own."""


class Wishes(msgspec.Struct, array_like=True, frozen=True):
    """What the recipient wants, and the zone that times of day are meant in."""

    timezone: str = ""
    channels: dict[str, ChannelWish] = {}
    types: dict[str, bool] = {}


class Suppression(msgspec.Struct, array_like=True, frozen=True):
    """A bar on the recipient's address of one channel, by a provider or an operator."""

    reason: str
    occurred_ms: int
    until_ms: int = 0
    """0: until released."""


Words = dict[str, Word]
"""Who said what holds, by field: `email`, `timezone`, `push.enabled`, `types.promotion`, ... A field
that was never said has no word."""

_encoder = msgspec.msgpack.Encoder()
_decode_wishes = msgspec.msgpack.Decoder(Wishes).decode
unpack_words = msgspec.msgpack.Decoder(Words).decode
NO_WISHES = _encoder.encode(Wishes())
NO_WORDS = _encoder.encode({})


class Profile(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One recipient."""

    name: str = ""
    locale: str = ""
    email: Address | None = None
    phone: Address | None = None
    devices: tuple[Device, ...] = ()
    suppressions: dict[str, Suppression] = {}
    """Channel to the bar on its present address."""
    removed_devices: dict[str, int] = {}
    """device_id to the time of its removal, so that an older registration does not bring it back."""
    deleted_ms: int = 0
    packed_wishes: bytes = NO_WISHES
    packed_words: bytes = NO_WORDS

    @property
    def wishes(self) -> Wishes:
        """The same object for equal wishes, as long as they are remembered."""
        return _wishes_of(self.packed_wishes)


@lru_cache(maxsize=_HOT_WISHES)
def _wishes_of(packed: bytes) -> Wishes:
    return _decode_wishes(packed)


def pack_wishes(wishes: Wishes) -> bytes:
    return _encoder.encode(wishes)


def pack_words(words: Words) -> bytes:
    return _encoder.encode(words)


encode_profile = _encoder.encode
decode_profile = msgspec.msgpack.Decoder(Profile).decode
