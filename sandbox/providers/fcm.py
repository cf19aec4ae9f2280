"""FCM HTTP v1: https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages/send

Field names in lowerCamelCase only; the vendor takes snake_case too.
"""

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from sandbox.faults import magic_word
from sandbox.http import Reply, Request
from sandbox.providers.base import Accepted, Message, retry_after, to_int

MAX_PAYLOAD_BYTES = 4096
MAX_TOPIC_PAYLOAD_BYTES = 2048
MAX_TTL_SECONDS = 2_419_200

_PATH = re.compile(r"/v1/projects/([^/]+)/messages:send")
_is_token = re.compile(r"[A-Za-z0-9_:.-]{8,4096}").fullmatch
_is_topic = re.compile(r"(?:/topics/)?[A-Za-z0-9_.~%-]{1,900}").fullmatch
_is_ttl = re.compile(r"([0-9]{1,9})(?:\.[0-9]{1,9})?s").fullmatch
_RESERVED_KEYS = frozenset({"from", "message_type"})
_OUR_KEYS = frozenset({"delivery_id", "notification_id", "round", "attempt", "user_id"})
"""Data by which a client says which delivery it is about."""
_RESERVED_PREFIXES = ("google.", "gcm.notification.")
_FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"


class Notification(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    title: str = ""
    body: str = ""
    image: str = ""


class AndroidConfig(msgspec.Struct, rename="camel", omit_defaults=True):
    collapse_key: str = ""
    priority: str = ""
    ttl: str = ""
    restricted_package_name: str = ""
    data: dict[str, str] = {}
    notification: dict[str, Any] = {}


class FcmMessage(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    fid: str = ""
    token: str = ""
    topic: str = ""
    condition: str = ""
    name: str = ""
    data: dict[str, str] = {}
    notification: Notification | None = None
    android: AndroidConfig | None = None
    android_v2: dict[str, Any] = {}
    apns: dict[str, Any] = {}
    webpush: dict[str, Any] = {}
    fcm_options: dict[str, Any] = {}


class SendRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    message: FcmMessage
    validate_only: bool = False


_decode = msgspec.json.Decoder(SendRequest).decode
_encode = msgspec.json.Encoder().encode

_ERRORS: dict[str, tuple[int, str, str]] = {
    "INVALID_ARGUMENT": (
        400, "INVALID_ARGUMENT", "The registration token is not a valid FCM registration token",
    ),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED", "Auth error from APNS or Web Push Service"),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED", "SenderId mismatch"),
    "UNREGISTERED": (404, "NOT_FOUND", "Requested entity was not found."),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (check quota)."),
    "INTERNAL": (500, "INTERNAL", "Internal error encountered."),
    "UNAVAILABLE": (503, "UNAVAILABLE", "The service is currently unavailable."),
}  # fmt: skip
_BY_STATUS = {
    "400": "INVALID_ARGUMENT", "404": "UNREGISTERED", "429": "QUOTA_EXCEEDED",
    "500": "INTERNAL", "503": "UNAVAILABLE",
}  # fmt: skip


@dataclass
class Fcm:
    project_id: str
    run_id: str
    is_valid_token: Callable[[str, float], bool]
    """Whether an access token is good at an instant; `google_oauth` knows."""
    name: str = "fcm"
    _messages: int = 0

    def serves(self, path: str) -> bool:
        return path.startswith("/v1/projects/")

    def judge(self, request: Request, now: float) -> Accepted | Reply:
        match = _PATH.fullmatch(request.path)
        if match is None or request.method != "POST":
            return _error(404, "NOT_FOUND", "The requested URL was not found.")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not self.is_valid_token(token, now):
            return _unauthenticated()
        if match[1] != self.project_id:
            return _error(403, "PERMISSION_DENIED", "Permission denied on the project.")
        try:
            send = _decode(request.body)
        except msgspec.ValidationError as error:
            return _violation(_path_of(error), f"Invalid JSON payload received. {error}")
        except msgspec.DecodeError:
            return _violation("", "Invalid JSON payload received.")
        if (refusal := _check(send.message)) is not None:
            return refusal
        return self._accept(send)

    def error(self, code: str, retry_after_seconds: float | None) -> Reply | None:
        if code == "401":
            return _unauthenticated()
        code = _BY_STATUS.get(code, code.upper())
        if code not in _ERRORS:
            return None
        status, name, message = _ERRORS[code]
        details = [{"@type": _FCM_ERROR, "errorCode": code}]
        return _error(status, name, message, details, retry_after(retry_after_seconds))

    def _accept(self, send: SendRequest) -> Accepted:
        message, data = send.message, send.message.data
        address = message.token or message.fid or message.topic or message.condition
        magic = magic_word([address])
        if send.validate_only:
            name = f"projects/{self.project_id}/messages/fake_message_id"
            return Accepted(Reply(200, _encode({"name": name})), magic=magic)
        self._messages += 1
        name = f"projects/{self.project_id}/messages/0:{self.run_id}%{self._messages:x}"
        delivery_id = data.get("delivery_id", "")
        notification_id = data.get("notification_id", "")

        def preview(limit: int) -> list[Message]:
            shown = message.notification or Notification()
            android = message.android.notification if message.android else {}
            view = Message(
                channel="push", to=address, user=data.get("user_id", ""),
                title=shown.title or str(android.get("title", "")),
                text=shown.body or str(android.get("body", "")) or data.get("body", ""),
                delivery_id=delivery_id, notification_id=notification_id,
            )  # fmt: skip
            return [view][:limit]

        return Accepted(
            Reply(200, _encode({"name": name})),
            message_id=name,
            round=to_int(data.get("round")),
            attempt=to_int(data.get("attempt")),
            addresses=[address],
            delivery_ids=[delivery_id],
            notification_ids=[notification_id],
            body_hashes=[_hash_of(message)],
            magic=magic,
            preview=preview,
        )


def _hash_of(message: FcmMessage) -> int:
    """Of what the app and the person are told; the same for every attempt."""
    shown = message.notification or Notification()
    content = zlib.crc32(shown.body.encode(), zlib.crc32(shown.title.encode()))
    told = {name: value for name, value in message.data.items() if name not in _OUR_KEYS}
    return zlib.crc32(_encode(told), content) if told else content


def _check(message: FcmMessage) -> Reply | None:
    targets = [message.fid, message.token, message.topic, message.condition]
    if sum(map(bool, targets)) != 1:
        text = "Exactly one of fid, token, topic or condition is required"
        return _violation("message", text)
    if message.token and not _is_token(message.token):
        status, name, text = _ERRORS["INVALID_ARGUMENT"]
        violation = {"field": "message.token", "description": text}
        details: list[dict[str, Any]] = [
            {"@type": _FCM_ERROR, "errorCode": "INVALID_ARGUMENT"},
            {"@type": _BAD_REQUEST, "fieldViolations": [violation]},
        ]
        return _error(status, name, text, details)
    if message.topic and not _is_topic(message.topic):
        return _violation("message.topic", "Malformed topic name")
    for key in message.data:
        if key in _RESERVED_KEYS or key.startswith(_RESERVED_PREFIXES):
            return _violation(f"message.data[{key}]", f"Invalid data payload key: {key}")
    return _check_android(message) or _check_size(message)


def _check_android(message: FcmMessage) -> Reply | None:
    android = message.android
    if android is None:
        return None
    if message.android_v2:
        return _violation("message.android_v2", "android and android_v2 exclude each other")
    if android.priority.upper() not in ("", "NORMAL", "HIGH"):
        return _violation("message.android.priority", "Invalid value at priority")
    if android.ttl:
        match = _is_ttl(android.ttl)
        if match is None or int(match[1]) > MAX_TTL_SECONDS:
            return _violation("message.android.ttl", "Invalid TTL: 0s to 2419200s")
    return None


def _check_size(message: FcmMessage) -> Reply | None:
    limit = MAX_PAYLOAD_BYTES if message.token or message.fid else MAX_TOPIC_PAYLOAD_BYTES
    size = sum(len(key.encode()) + len(value.encode()) for key, value in message.data.items())
    if message.notification is not None:
        shown = message.notification
        size += sum(len(part.encode()) for part in (shown.title, shown.body, shown.image))
    if message.android is not None:
        size += len(_encode(message.android))
    size += len(_encode(message.apns)) + len(_encode(message.webpush))
    if size <= limit:
        return None
    text = f"Message is too big: the payload may have {limit} bytes"
    return _violation("message", text)


def _path_of(error: msgspec.ValidationError) -> str:
    _, _, path = str(error).partition(" - at `$.")
    return path.rstrip("`")


def _violation(field: str, message: str) -> Reply:
    violation = {"field": field, "description": message}
    details = [{"@type": _BAD_REQUEST, "fieldViolations": [violation]}]
    return _error(400, "INVALID_ARGUMENT", message, details)


def _unauthenticated() -> Reply:
    message = "Request had invalid authentication credentials. Expected OAuth 2 access token."
    return _error(401, "UNAUTHENTICATED", message)


def _error(
    status: int,
    name: str,
    message: str,
    details: list[dict[str, Any]] | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> Reply:
    error: dict[str, Any] = {"code": status, "message": message, "status": name}
    if details:
        error["details"] = details
    return Reply(status, _encode({"error": error}), headers)
