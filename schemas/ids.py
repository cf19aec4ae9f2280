"""Identity: Kafka's partitioner, and ids that follow from what they name.

Nothing here is random: whoever computes an id again, after a crash or in another process,
gets the same one. Ids are 16 bytes inside and canonical UUID text outside.

A routable id (of a notification, a broadcast, an address) begins with 32 bits that decide
its partition, so that an id alone is enough to find who keeps its state:

    bytes 0-3   Kafka's hash of the user id (of a broadcast: of its key; of an address: of itself)
    bytes 4-15  digest of what the id stands for, with the version and variant bits of UUIDv8
"""

import hashlib
import struct
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache

from schemas.partitioner import murmur2, murmur2_of_each

_HOT_FACTS = 4096
"""Those of a broadcast are few; a device, or a single request, brings one of its own."""
_HOT_HASHES = 16
"""A key and a few channels."""

_V8 = 8 << 76 | 2 << 62
"""The version and variant bits of a UUID, as a number of 128 bits."""
_FREE_BITS = ((1 << 128) - 1) & ~(0xF << 76 | 3 << 62)
_FREE_BITS_ROUTABLE = _FREE_BITS & ((1 << 96) - 1)

_FIRST_32_BITS = struct.Struct(">I").unpack_from
_FIRST_32_BITS_OF_EACH = struct.Struct(">I12x").iter_unpack

_NOTIFICATION = b"notification"
_ORIGIN = b"notif-origin"
_BROADCAST = b"broadcast"
_BROADCAST_ORIGIN = b"broadc-origin"
_SLICE = b"slice"
_ADDRESS = b"address"


def user_hash(user_id: str) -> int:
    """The 32 bits that decide a user's partition and open the ids of their notifications."""
    return murmur2(user_id.encode())


def user_hashes(user_ids: Iterable[str]) -> list[int]:
    """As `user_hash`, of many."""
    return murmur2_of_each([user_id.encode() for user_id in user_ids])


def partition_of(user_id: str, partitions: int) -> int:
    """Where Kafka's default partitioner puts a record with this key (also: an SMS sender's name).

    Kafka drops the hash's sign bit; it does not take the absolute value.
    """
    return (user_hash(user_id) & 0x7FFFFFFF) % partitions


def partitions_of(user_ids: Iterable[str], partitions: int) -> list[int]:
    """As `partition_of`, of many."""
    return [(hash32 & 0x7FFFFFFF) % partitions for hash32 in user_hashes(user_ids)]


def partition_of_id(routable_id: bytes, partitions: int) -> int:
    """The partition of a notification's user, or a broadcast's home, from the id alone."""
    hash32: int = _FIRST_32_BITS(routable_id)[0]
    return (hash32 & 0x7FFFFFFF) % partitions


def partitions_of_ids(routable_ids: Sequence[bytes], partitions: int) -> list[int]:
    """As `partition_of_id`, of many."""
    hashes = _FIRST_32_BITS_OF_EACH(b"".join(routable_ids))
    return [(hash32 & 0x7FFFFFFF) % partitions for (hash32,) in hashes]


def partition_of_hash(address_hash: bytes, partitions: int) -> int:
    """Where `keep_addresses` keeps what it knows of an address."""
    return partition_of_id(address_hash, partitions)


def notification_id(tenant: str, user_id: str, idempotency_key: str) -> bytes:
    """Of a request with a key, whose scope is its tenant and user."""
    return notification_ids([user_id], [key_digest(tenant, user_id, idempotency_key)])[0]


def notification_id_from_origin(
    user_id: str, topic: str, partition: int, offset: int, appended_ms: int, part: int = -1
) -> bytes:
    """Of a request without a key."""
    origin = origin_digest(topic, partition, offset, appended_ms, part)
    return notification_ids([user_id], [origin])[0]


def notification_ids(user_ids: Sequence[str], digests: Sequence[bytes]) -> list[bytes]:
    """Of requests with the `key_digest` or the `origin_digest` of each."""
    count = len(digests)
    heads = struct.pack(">" + "I12x" * count, *user_hashes(user_ids))
    free = _number_of_each(_FREE_BITS_ROUTABLE.to_bytes(16, "big"), count)
    version = _number_of_each(_V8.to_bytes(16, "big"), count)
    bits = int.from_bytes(b"".join(digests), "big") & free
    return _parted(bits | int.from_bytes(heads, "big") | version, count)


def key_digest(tenant: str, user_id: str, idempotency_key: str) -> bytes:
    """What a request with a key is known by."""
    # The lengths keep two different scopes from reading the same when joined.
    scope = f"{len(tenant)}:{tenant}{len(user_id)}:{user_id}{idempotency_key}"
    return _digest(scope.encode(), _NOTIFICATION)


def origin_digest(
    topic: str, partition: int, offset: int, appended_ms: int, part: int = -1
) -> bytes:
    """What a request without a key is known by: the record itself is its identity, wherever it was
    forwarded, and in a batch record its place there, unless it came alone (-1).

    The append time tells apart the records of a topic that was deleted and created again.
    """
    origin = _origin(topic, partition, offset, appended_ms)
    if part >= 0:
        origin += b"\0%d" % part
    return _digest(origin, _ORIGIN)


def broadcast_id(tenant: str, idempotency_key: str) -> bytes:
    """Of a broadcast with a key, whose scope is its tenant."""
    scope = f"{len(tenant)}:{tenant}{idempotency_key}".encode()
    return _routable(murmur2(scope), scope, _BROADCAST)


def broadcast_id_from_origin(topic: str, partition: int, offset: int, appended_ms: int) -> bytes:
    """Of a broadcast without a key."""
    origin = _origin(topic, partition, offset, appended_ms)
    return _routable(murmur2(origin), origin, _BROADCAST_ORIGIN)


def member_notification_id(broadcast_id: bytes, user_id: str, user_hash: int) -> bytes:
    """Of the notification that a broadcast is for one member; `user_hash` is `user_hash(user_id)`."""
    return member_notification_ids(broadcast_id, [user_id], user_hash)[0]


def member_notification_ids(
    broadcast_id: bytes, user_ids: Iterable[str], user_hash: int
) -> list[bytes]:
    """As `member_notification_id`, of many with one hash: a million are made in a row, hence the
    plain SHA-1 of a fixed-length id and the user's."""
    sha1 = hashlib.sha1
    digests = [
        sha1(broadcast_id + user_id.encode(), usedforsecurity=False).digest()[:16]
        for user_id in user_ids
    ]
    free = _number_of_each(_FREE_BITS_ROUTABLE.to_bytes(16, "big"), len(digests))
    head = _number_of_each((user_hash << 96 | _V8).to_bytes(16, "big"), len(digests))
    return _parted(int.from_bytes(b"".join(digests), "big") & free | head, len(digests))


def delivery_id(notification_id: bytes, channel: str, first_seen_ms: int) -> bytes:
    """The notification's id, with a pattern of channel and append time of the first request laid over
    it: a key that is used again after the window makes new deliveries.

    Ids are as good as random, so a pattern tells what it stands for from everything else, and one
    is laid over a million ids: hashing each would cost ten times as much.
    """
    return delivery_ids([notification_id], channel, first_seen_ms)[0]


def delivery_ids(
    notification_ids: Sequence[bytes], channel: str, first_seen_ms: int
) -> list[bytes]:
    """As `delivery_id`, of many."""
    return _laid_over(notification_ids, _pattern(f"{channel}:{first_seen_ms}".encode()))


def body_id(broadcast_id: bytes, accepted_ms: int) -> bytes:
    """What a broadcast tells: one whose key is used again after the window tells something else under
    the same id, while the first may go on for days."""
    return _laid_over([broadcast_id], _pattern(b"body:%d" % accepted_ms))[0]


def slice_id(broadcast_id: bytes, channel: str, partition: int, first: bytes) -> bytes:
    """Of one ledger unit of a broadcast.

    `first` names what only this slice begins with, such as the fan-out cursor or the first
    target's delivery and device.
    """
    name = broadcast_id + f"{channel}:{partition}:".encode() + first
    digest = int.from_bytes(_digest(name, _SLICE), "big")
    return (digest & _FREE_BITS | _V8).to_bytes(16, "big")


def receipt_fact(
    status: str, *, round_number: int = 0, attempt: int = 0, reason: str = "", detail: str = ""
) -> bytes:
    """What a receipt says besides of whom; made once for all deliveries of a batch.

    `detail` tells apart facts alike in everything else: a device, a provider's event id.
    """
    return f"{status}\0{round_number}\0{attempt}\0{reason}\0{detail}".encode()


def receipt_id(unit_id: bytes, fact: bytes) -> bytes:
    """The same fact about the same delivery (or request) has the same id however often it is told:
    the unit's, with a pattern of the fact laid over it."""
    return receipt_ids([unit_id], fact)[0]


def receipt_ids(unit_ids: Sequence[bytes], fact: bytes) -> list[bytes]:
    """As `receipt_id`, of many."""
    return _laid_over(unit_ids, _pattern(fact))


def address_hash(key: bytes, channel: str, address: str) -> bytes:
    """Keyed hash of a normalised address, so that topics and logs need not hold the address.

    Letter case of a mailbox never distinguishes two people in practice, while a suppression
    that misses for a capital letter would mail someone who said stop: it is ignored here.
    `key` is at most 64 bytes.
    """
    digest = _begun_hash(key, channel).copy()
    digest.update((address.lower() if channel == "email" else address).encode())
    return digest.digest()


@lru_cache(maxsize=_HOT_HASHES)
def _begun_hash(key: bytes, channel: str) -> "hashlib.blake2b":
    """Half of the work, and the same for every address of a channel."""
    head = f"{channel}\0".encode()
    return hashlib.blake2b(head, digest_size=16, key=key, person=_ADDRESS)


def to_text(id_bytes: bytes) -> str:
    """Canonical UUID text."""
    h = id_bytes.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def from_text(text: str) -> bytes:
    """The id that `to_text` wrote, in either letter case; ValueError for any other text."""
    if len(text) == 36 and text[8] == text[13] == text[18] == text[23] == "-":
        id_bytes = bytes.fromhex(text.replace("-", ""))
        if len(id_bytes) == 16:
            return id_bytes
    raise ValueError("not an id: expected 8-4-4-4-12 hexadecimal digits")


def _origin(topic: str, partition: int, offset: int, appended_ms: int) -> bytes:
    return f"{topic}\0{partition}\0{offset}\0{appended_ms}".encode()


@lru_cache(maxsize=_HOT_FACTS)
def _pattern(fact: bytes) -> bytes:
    """Leaves the version and variant of an id as they are."""
    return (_sha1(fact) & _FREE_BITS).to_bytes(16, "big")


def _laid_over(unit_ids: Sequence[bytes], pattern: bytes) -> list[bytes]:
    """Exclusive or, of all at once."""
    units = int.from_bytes(b"".join(unit_ids), "big")
    return _parted(units ^ _number_of_each(pattern, len(unit_ids)), len(unit_ids))


def _number_of_each(pattern: bytes, count: int) -> int:
    """The same for each of so many ids, as one number."""
    return int.from_bytes(pattern * count, "big")


def _parted(ids: int, count: int) -> list[bytes]:
    """Of a number that stands for so many ids, each."""
    joined = ids.to_bytes(16 * count, "big")
    return [joined[at : at + 16] for at in range(0, len(joined), 16)]


def _sha1(data: bytes) -> int:
    return int.from_bytes(hashlib.sha1(data, usedforsecurity=False).digest()[:16], "big")


def _digest(data: bytes, kind: bytes) -> bytes:
    digest = _begun_digest(kind).copy()  # in half of the time that a new one takes
    digest.update(data)
    return digest.digest()


@cache
def _begun_digest(kind: bytes) -> "hashlib.blake2b":
    return hashlib.blake2b(digest_size=16, person=kind)


def _routable(hash32: int, data: bytes, kind: bytes) -> bytes:
    digest = int.from_bytes(_digest(data, kind), "big")
    return (digest & _FREE_BITS_ROUTABLE | hash32 << 96 | _V8).to_bytes(16, "big")
