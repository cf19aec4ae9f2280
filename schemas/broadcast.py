"""`AcceptedBroadcast`: a broadcast turned inside out, one command for each partition."""

import msgspec

from schemas.delivery import Body, Channel, Lane


class AcceptedBroadcast(msgspec.Struct, array_like=True, frozen=True):
    """Expand your own members. A long list of users comes as several commands."""

    body: Body
    lane: Lane
    channels: tuple[Channel, ...]
    starts_ms: int
    audience: str = ""
    user_ids: list[str] = []
    """Instead of an audience: the named users of this partition."""
    part: int = 0
    per_second: float = 0.0
    """This partition's share of `max_per_second`; 0 means as fast as it goes."""


encode_accepted = msgspec.msgpack.Encoder().encode
decode_accepted = msgspec.msgpack.Decoder(AcceptedBroadcast).decode
