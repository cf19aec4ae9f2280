"""From a record's bytes to a contract, or to the reason why not.

A record that cannot be decoded becomes a dead letter and its neighbours go on, so everything
that can be wrong with one is found here, and cheaply: size before anything, depth by the
parser's own limit.
"""

import re
from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

import msgspec
from pydantic import TypeAdapter, ValidationError

from schemas.forwarding import origin_of
from schemas.instants import rfc3339
from schemas.kafka import InboundRecord
from schemas.notification import CONTROL, Control, Message
from schemas.printing import printable
from schemas.topics import ORIGIN_HEADERS, SCHEMA_VERSION_HEADER

T = TypeVar("T")
MessageT = TypeVar("MessageT", bound=Message)

Cause = Literal[
    "null_value", "too_large", "too_deep", "bad_utf8", "bad_json", "unknown_schema_version", "invalid"
]  # fmt: skip

MAX_RECORD_BYTES = 768 * 1024
"""Key, value and headers: small enough to be forwarded to another partition, with its origin, within
a record's bound."""
MAX_DETAIL_CHARACTERS = 500

MAJOR, MINOR = 1, 0
"""The version of every inbound contract. A new optional field is a new minor."""
_CURRENT = f"{MAJOR}.{MINOR}".encode()

_VERSION = re.compile(rb"([0-9]{1,4})\.([0-9]{1,4})")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_MAX_CLOUD_EVENT_HEADER_BYTES = 1024


class Undecodable(ValueError):
    """Raised when a record is not what its topic carries: it goes to the dead letters."""

    def __init__(self, cause: Cause, detail: str = "") -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause: Cause = cause
        self.detail = detail[:MAX_DETAIL_CHARACTERS]
        """Names fields and what is expected of them, never a value."""


class Decoder(Generic[T]):
    """Decodes the records of one public topic.

    `on_ignored` is told (topic, count) of fields that a newer minor version brought.
    """

    def __init__(
        self,
        contract: TypeAdapter[T],
        *,
        on_ignored: Callable[[str, int], None],
        max_bytes: int = MAX_RECORD_BYTES,
    ) -> None:
        # The adapter's own passes ten options on, in a tenth of the time of it all.
        self._validate: Callable[..., T] = contract.validator.validate_json
        self._on_ignored = on_ignored
        self._max_bytes = max_bytes

    def __call__(self, record: InboundRecord) -> T:
        """Raises `Undecodable`."""
        value = record.value
        if value is None:
            raise Undecodable("null_value", "a record without a value says nothing here")
        size = size_of(record)
        if size > self._max_bytes:
            raise Undecodable("too_large", f"{size} bytes, at most {self._max_bytes}")
        is_newer = bool(record.headers) and _is_newer_minor(record)
        try:
            return self._validate(value)
        except ValidationError as error:
            unknown_fields = _unknown_fields(error) if is_newer else 0
            if not unknown_fields:
                raise _undecodable(value, error) from None
        try:
            decoded = self._validate(value, extra="ignore")
        except ValidationError as error:
            raise _undecodable(value, error) from None
        self._on_ignored(record.topic, unknown_fields)
        return decoded


class MessageDecoder(Decoder[MessageT]):
    """Of requests, which may be CloudEvents in binary mode: id and source make up for a key."""

    def __call__(self, record: InboundRecord) -> MessageT:
        message = super().__call__(record)
        if record.headers and message.idempotency_key is None:
            key = _cloud_event_key(record)
            if key is not None:
                return message.model_copy(update={"idempotency_key": key})
        return message


class ControlDecoder(Decoder[Control]):
    """Of controls, which are compacted: a record without a value resumes what its key names."""

    def __init__(self, *, on_ignored: Callable[[str, int], None]) -> None:
        super().__init__(CONTROL, on_ignored=on_ignored)

    def __call__(self, record: InboundRecord) -> Control:
        if record.value is None:
            return _resumed_by(record)
        control = super().__call__(record)
        # Compaction goes by the key: under another one, an old word would outlive a new one.
        if record.key is not None and record.key != control.record_key():
            raise Undecodable("invalid", "key: expected scope:name, as in the value")
        return control


def internal(decode: Callable[[bytes], T]) -> Callable[[InboundRecord], T]:
    """A decoder for records that we wrote ourselves; a failure is as undecodable as any."""

    def decoder(record: InboundRecord) -> T:
        if record.value is None:
            raise Undecodable("null_value")
        try:
            return decode(record.value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Undecodable("invalid", str(error)) from None

    return decoder


def explain(error: Exception) -> tuple[str, str]:
    """Cause and detail for a dead letter, of whatever a decoder raised."""
    if isinstance(error, Undecodable):
        return error.cause, error.detail
    return "invalid", type(error).__name__


def traceparent_of(header: bytes | None) -> str:
    """A W3C `traceparent` as it came; "" when there is none or it is malformed."""
    if header is None or _TRACEPARENT.fullmatch(header) is None:
        return ""
    return header.decode()


def size_of(record: InboundRecord) -> int:
    """In bytes, without its origin: who was small enough must not be refused once forwarded."""
    if not record.headers:
        return record.size_bytes
    own = tuple(header for header in record.headers if header[0] not in ORIGIN_HEADERS)
    return record._replace(headers=own).size_bytes


def _is_newer_minor(record: InboundRecord) -> bool:
    version = record.header(SCHEMA_VERSION_HEADER)
    if version is None or version == _CURRENT:
        return False
    parts = _VERSION.fullmatch(version)
    if parts is None:
        raise Undecodable("unknown_schema_version", "expected major.minor, such as 1.0")
    if int(parts[1]) != MAJOR:
        raise Undecodable("unknown_schema_version", f"major {int(parts[1])}, known is {MAJOR}")
    return int(parts[2]) > MINOR


def _cloud_event_key(record: InboundRecord) -> str | None:
    event_id, source = record.header("ce_id"), record.header("ce_source")
    if not event_id or not source:
        return None
    if len(event_id) + len(source) > _MAX_CLOUD_EVENT_HEADER_BYTES:
        raise Undecodable("invalid", "ce_id and ce_source: together at most 1024 bytes")
    part = origin_of(record).part
    place = f"[{part}]" if part >= 0 else ""  # one event may hold many requests
    try:
        # The length keeps two different pairs from reading the same when joined.
        return f"ce:{len(source)}:{source.decode()}{event_id.decode()}{place}"
    except UnicodeDecodeError:
        raise Undecodable("bad_utf8", "ce_id or ce_source") from None


def _resumed_by(record: InboundRecord) -> Control:
    scope, _, name = (record.key or b"").decode(errors="replace").partition(":")
    said = {"action": "resume", "scope": scope, "name": name}
    try:
        return Control.model_validate({**said, "occurred_at": rfc3339(record.timestamp_ms)})
    except ValidationError:
        raise Undecodable("null_value", "key: expected what to resume, as channel:sms") from None


def _unknown_fields(error: ValidationError) -> int:
    return sum(each["type"] == "extra_forbidden" for each in _errors(error))


def _errors(error: ValidationError) -> list[Any]:
    return error.errors(include_url=False, include_context=False, include_input=False)


def _undecodable(value: bytes, error: ValidationError) -> Undecodable:
    errors = _errors(error)
    kinds = {e["type"] for e in errors}
    detail = "; ".join(f"{_path(e['loc'])}{_said(e)}" for e in errors[:3])
    if "too_deep" in kinds:
        return Undecodable("too_deep", detail)
    if "json_invalid" not in kinds:
        return Undecodable("invalid", detail)
    if "recursion limit" in detail:
        return Undecodable("too_deep", detail)
    try:
        value.decode()
    except UnicodeDecodeError as undecoded:
        return Undecodable("bad_utf8", f"at byte {undecoded.start}")
    return Undecodable("bad_json", detail)


def _path(location: tuple[str | int, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{printable(part[:64])}"
    return f"{path.removeprefix('.')}: " if path else ""


def _said(error: Any) -> str:
    """What is expected; pydantic repeats a tag, which may be anything a producer wrote."""
    message: str = error["msg"].removeprefix("Value error, ")
    if error["type"] != "union_tag_invalid":
        return message
    return f"Input tag does not match{message.partition('does not match')[2]}"
