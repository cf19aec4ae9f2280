"""Twilio Programmable Messaging: https://www.twilio.com/docs/messaging/api/message-resource

Numbers that ask for a fault. The first rows are Twilio's own test numbers
(https://www.twilio.com/docs/iam/test-credentials), the others are ours:

    To    +15005550001 -> 21211 invalid          From  +15005550001 -> 21212 invalid
          +15005550002 -> 21612 no route               +15005550007 -> 21606 not ours
          +15005550003 -> 21408 no permission          +15005550008 -> 21611 queue full
          +15005550004 -> 21610 opted out
          +15005550009 -> 21614 not a mobile
    To    +15005550129 -> 20429 (HTTP 429)       To    +15005550190 -> drop
          +15005550150 -> 20500 (HTTP 500)             +15005550191 -> hang
          +15005550153 -> 20503 (HTTP 503)             +15005550192 -> slow
                                                       +15005550193 -> delay
"""

import base64
import re
import urllib.parse
import zlib
from dataclasses import dataclass
from email.utils import formatdate

import msgspec

from sandbox.http import Reply, Request
from sandbox.providers.base import Accepted, Message, retry_after, to_int

MAX_BODY_CHARACTERS = 1600
MIN_VALIDITY_SECONDS = 1
MAX_VALIDITY_SECONDS = 36_000

_PATH = re.compile(r"/2010-04-01/Accounts/([^/]+)/Messages\.json")
_is_number = re.compile(r"\+[1-9][0-9]{6,14}").fullmatch
_is_short_code = re.compile(r"[0-9]{5,6}").fullmatch
_is_alphanumeric = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 +_&-]{1,11}").fullmatch
_is_service = re.compile(r"MG[0-9a-f]{32}").fullmatch
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENDED = frozenset("\f^{}\\[~]|€")

_MAGIC_TO = {
    "+15005550001": "21211", "+15005550002": "21612", "+15005550003": "21408",
    "+15005550004": "21610", "+15005550009": "21614",
    "+15005550129": "20429", "+15005550150": "20500", "+15005550153": "20503",
    "+15005550190": "drop", "+15005550191": "hang", "+15005550192": "slow",
    "+15005550193": "delay",
}  # fmt: skip
_MAGIC_FROM = {"+15005550001": "21212", "+15005550007": "21606", "+15005550008": "21611"}

_ERRORS = {
    "20003": (401, "Authenticate"),
    "20404": (404, "The requested resource was not found"),
    "20004": (405, "Method not allowed"),
    "20429": (429, "Too Many Requests"),
    "20500": (500, "Internal Server Error"),
    "20503": (503, "Service Unavailable"),
    "21211": (400, "Invalid 'To' Phone Number"),
    "21212": (400, "Invalid 'From' Phone Number"),
    "21266": (400, "'To' and 'From' number cannot be the same"),
    "21408": (403, "Permission to send an SMS has not been enabled for the region"),
    "21602": (400, "Message body is required."),
    "21603": (400, "A 'From' phone number is required."),
    "21604": (400, "A 'To' phone number is required."),
    "21606": (400, "The 'From' phone number is not a valid, message-capable Twilio number."),
    "21608": (400, "The number is unverified. Trial accounts cannot send to unverified numbers."),
    "21609": (400, "The 'StatusCallback' URL is not a valid URL."),
    "21610": (400, "Attempt to send to unsubscribed recipient"),
    "21611": (429, "This 'From' number has exceeded the maximum number of queued messages"),
    "21612": (400, "The 'To' phone number is not currently reachable using the 'From' number"),
    "21614": (400, "'To' number is not a valid mobile number"),
    "21617": (400, "The concatenated message body exceeds the 1600 character limit"),
    "21635": (400, "'To' number cannot be a landline"),
    "21701": (400, "The Messaging Service does not exist"),
    "30022": (429, "US A2P 10DLC rate limits exceeded"),
    "63017": (429, "Rate limit exceeded"),
    "63038": (429, "Account exceeded the daily messages limit"),
    "90007": (400, "Invalid validity period value"),
    "90014": (400, "Validity Period should be positive integer"),
}
_BY_STATUS = {"401": "20003", "404": "20404", "429": "20429", "500": "20500", "503": "20503"}


@dataclass
class Twilio:
    account_sid: str
    auth_token: str
    run_id: str
    numbers: frozenset[str] | None = None
    """The account's own numbers; None: any that is well formed."""
    name: str = "twilio"
    _messages: int = 0

    def __post_init__(self) -> None:
        user = f"{self.account_sid}:{self.auth_token}".encode()
        self.authorization = "Basic " + base64.b64encode(user).decode()

    def serves(self, path: str) -> bool:
        return path.startswith("/2010-04-01/")

    def judge(self, request: Request, now: float) -> Accepted | Reply:
        if request.headers.get("authorization") != self.authorization:
            return _refuse("20003")
        match = _PATH.fullmatch(request.path)
        if match is None or match[1] != self.account_sid:
            return _refuse("20404")
        if request.method != "POST":
            return _refuse("20004")
        try:
            fields = dict(urllib.parse.parse_qsl(request.body.decode(), errors="strict"))
        except ValueError:
            return _refuse("21602")
        if (code := self._check(fields)) is not None:
            return _refuse(code)
        return self._accept(fields, now)

    def error(self, code: str, retry_after_seconds: float | None) -> Reply | None:
        code = _BY_STATUS.get(code, code)
        return _refuse(code, retry_after(retry_after_seconds)) if code in _ERRORS else None

    def _check(self, fields: dict[str, str]) -> str | None:
        """The code of the first rule that is broken."""
        if not fields.get("To"):
            return "21604"
        if (code := self._check_sender(fields)) is not None:
            return code
        if not _is_number(fields["To"]):
            return "21211"
        if fields["To"] == fields.get("From"):
            return "21266"
        if not fields.get("Body"):
            return "21602"
        if len(fields["Body"]) > MAX_BODY_CHARACTERS:
            return "21617"
        return _check_validity(fields.get("ValidityPeriod")) or _check_callback(
            fields.get("StatusCallback")
        )

    def _check_sender(self, fields: dict[str, str]) -> str | None:
        sender = fields.get("From")
        if sender is None:
            service = fields.get("MessagingServiceSid")
            if service is None:
                return "21603"
            return None if _is_service(service) else "21701"
        if sender in _MAGIC_FROM:
            return _MAGIC_FROM[sender]
        if not (_is_number(sender) or _is_short_code(sender) or _is_alphanumeric(sender)):
            return "21212"
        if self.numbers is not None and sender not in self.numbers:
            return "21606"
        return None

    def _accept(self, fields: dict[str, str], now: float) -> Accepted:
        self._messages += 1
        sid = f"SM{self.run_id}{self._messages:016x}"
        query = fields.get("StatusCallback", "").partition("#")[0].partition("?")[2]
        ours = dict(urllib.parse.parse_qsl(query))
        body, to = fields["Body"], fields["To"]
        delivery_id = ours.get("delivery_id", "")
        notification_id = ours.get("notification_id", "")
        sender = fields.get("From") or fields["MessagingServiceSid"]

        def preview(limit: int) -> list[Message]:
            message = Message(
                channel="sms", to=to, sender=sender, text=body, user=ours.get("user_id", ""),
                delivery_id=delivery_id, notification_id=notification_id,
            )  # fmt: skip
            return [message][:limit]

        return Accepted(
            Reply(201, msgspec.json.encode(self._resource(sid, fields, now))),
            message_id=sid,
            round=to_int(ours.get("round")),
            attempt=to_int(ours.get("attempt")),
            addresses=[to],
            delivery_ids=[delivery_id],
            notification_ids=[notification_id],
            body_hashes=[zlib.crc32(body.encode())],
            magic=_MAGIC_TO.get(to, ""),
            preview=preview,
        )

    def _resource(self, sid: str, fields: dict[str, str], now: float) -> dict[str, object]:
        uri = f"/2010-04-01/Accounts/{self.account_sid}/Messages/{sid}"
        service = fields.get("MessagingServiceSid")
        at = formatdate(int(now)).replace("-0000", "+0000")
        return {
            "account_sid": self.account_sid,
            "api_version": "2010-04-01",
            "body": fields["Body"],
            "date_created": at,
            "date_sent": None,
            "date_updated": at,
            "direction": "outbound-api",
            "error_code": None,
            "error_message": None,
            "from": fields.get("From"),
            "messaging_service_sid": service,
            "num_media": "0",
            "num_segments": str(segments(fields["Body"])),
            "price": None,
            "price_unit": "USD",
            "sid": sid,
            "status": "accepted" if service else "queued",
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": fields["To"],
            "uri": f"{uri}.json",
        }


def segments(body: str) -> int:
    """How many SMS the carrier makes of it."""
    if all(character in _GSM or character in _GSM_EXTENDED for character in body):
        length = len(body) + sum(character in _GSM_EXTENDED for character in body)
        single, part = 160, 153
    else:
        length = len(body.encode("utf-16-le")) // 2
        single, part = 70, 67
    return 1 if length <= single else -(-length // part)


def _check_validity(period: str | None) -> str | None:
    if period is None:
        return None
    if not (period.isascii() and period.isdigit() and int(period) >= MIN_VALIDITY_SECONDS):
        return "90014"
    return "90007" if int(period) > MAX_VALIDITY_SECONDS else None


def _check_callback(url: str | None) -> str | None:
    if url is None:
        return None
    parts = urllib.parse.urlsplit(url)
    return None if parts.scheme in ("http", "https") and parts.hostname else "21609"


def _refuse(code: str, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    status, message = _ERRORS[code]
    body = {
        "code": int(code),
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return Reply(status, msgspec.json.encode(body), headers)
