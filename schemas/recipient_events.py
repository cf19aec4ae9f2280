"""Internal records about recipients and addresses: many facts in one record, in msgpack.

All facts of a record belong to its partition: of the user's for imports and derived changes,
of the address hash's for address events. Times are epoch milliseconds; "" means not said.
"""

import msgspec


class ImportedDevice(msgspec.Struct, array_like=True, frozen=True, gc=False):
    device_id: str
    token: str
    platform: str


class ImportedWish(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What an imported line says of one channel; None where it says nothing."""

    channel: str
    enabled: bool | None = None
    quiet_hours: str = ""
    daily_limit: int | None = None


class ImportedRecipient(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One line of an import, validated and normalised by whoever read the file."""

    user_id: str
    occurred_ms: int
    email: str = ""
    phone: str = ""
    name: str = ""
    locale: str = ""
    timezone: str = ""
    wishes: tuple[ImportedWish, ...] = ()
    types: dict[str, bool] = {}
    audiences: tuple[str, ...] = ()
    devices: tuple[ImportedDevice, ...] = ()


class ImportBatch(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Recipients of one partition on `recipients.imported`."""

    items: list[ImportedRecipient]
    tenant: str = ""


class _AddressEvent(msgspec.Struct, array_like=True, tag_field="event", frozen=True, gc=False):
    """About whatever holds this hash, later by `occurred_ms`.

    `offset` is that of the record that said it: one user may say two things in one millisecond.
    """

    address_hash: bytes
    channel: str
    occurred_ms: int
    offset: int


class AddressClaimed(_AddressEvent, tag="claimed", frozen=True, gc=False):
    """A user says that this address is theirs."""

    user_id: str
    device_id: str = ""


class AddressGivenUp(_AddressEvent, tag="given-up", frozen=True, gc=False):
    """A user has it no more: changed, removed or deleted."""

    user_id: str
    device_id: str = ""


class AddressBarred(_AddressEvent, tag="barred", frozen=True, gc=False):
    """Nobody is to be reached there, whoever holds it."""

    reason: str
    until_ms: int = 0
    """0: until released."""


class AddressUnbarred(_AddressEvent, tag="unbarred", frozen=True, gc=False):
    """The bar is lifted."""


AddressEvent = AddressClaimed | AddressGivenUp | AddressBarred | AddressUnbarred
"""An item of a record on `addresses.changed`."""


class _DerivedChange(msgspec.Struct, array_like=True, tag_field="event", frozen=True, gc=False):
    """A consequence for one user, found elsewhere; ignored where the user's own word is newer."""

    user_id: str
    occurred_ms: int


class DeviceLost(_DerivedChange, tag="device-lost", frozen=True, gc=False):
    """The token moved to another holder (`taken_over`) or died (`unregistered`).

    Ignored when the device was registered later, or has another token by now.
    """

    device_id: str
    address_hash: bytes
    reason: str


class ImportedOptOut(_DerivedChange, tag="opt-out", frozen=True, gc=False):
    """An import turned off a channel, or a type: senders hear of it here."""

    channel: str = ""
    type: str = ""


class HolderBarred(_DerivedChange, tag="holder-barred", frozen=True, gc=False):
    """An address that the user holds was suppressed; senders match it by the hash."""

    channel: str
    address_hash: bytes
    reason: str
    until_ms: int = 0


class HolderUnbarred(_DerivedChange, tag="holder-unbarred", frozen=True, gc=False):
    """The suppression of an address that the user holds was lifted."""

    channel: str
    address_hash: bytes


DerivedChange = DeviceLost | ImportedOptOut | HolderBarred | HolderUnbarred
"""An item of a record on `recipients.derived`."""

_encoder = msgspec.msgpack.Encoder()


def encode_import(batch: ImportBatch) -> bytes:
    return _encoder.encode(batch)


def encode_address_events(events: list[AddressEvent]) -> bytes:
    return _encoder.encode(events)


def encode_derived(changes: list[DerivedChange]) -> bytes:
    return _encoder.encode(changes)


decode_import = msgspec.msgpack.Decoder(ImportBatch).decode
decode_address_events = msgspec.msgpack.Decoder(list[AddressEvent]).decode
decode_derived = msgspec.msgpack.Decoder(list[DerivedChange]).decode
