"""The rules of a SendGrid mail, and what is kept of one that holds them.

https://www.twilio.com/docs/sendgrid/api-reference/mail-send/errors lists them. Decoding is
typed and partial: a batch of a thousand costs about a microsecond a recipient.
"""

import re
import zlib
from typing import Any

import msgspec

from sandbox.providers.base import Message

MAX_PERSONALIZATIONS = 1000
MAX_RECIPIENTS = 1000
MAX_CUSTOM_ARGS_BYTES = 10_000
MAX_SUBSTITUTIONS_BYTES = 10_000
MAX_CATEGORIES = 10
MAX_CATEGORY_CHARACTERS = 255
MAX_SEND_AHEAD_SECONDS = 72 * 3600

_ADDRESS = r"[!#-&'*+/0-9=?^_`a-z{|}~.A-Z-]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,252}"
_is_address = re.compile(_ADDRESS).fullmatch
_are_addresses = re.compile(rf"(?:{_ADDRESS}\n)+").fullmatch
"""All at once: one call for a batch instead of a thousand."""

_RESERVED_HEADERS = {
    "x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type",
    "content-transfer-encoding", "to", "from", "subject", "reply-to", "cc", "bcc",
}  # fmt: skip
_NONE = msgspec.Raw()


class Mailbox(msgspec.Struct, gc=False):
    email: str = ""
    name: str | None = None


class Personalization(msgspec.Struct, gc=False):
    to: list[Mailbox] = []
    cc: list[Mailbox] | None = None
    bcc: list[Mailbox] | None = None
    subject: str = ""
    custom_args: msgspec.Raw = _NONE
    substitutions: msgspec.Raw = _NONE
    dynamic_template_data: msgspec.Raw = _NONE
    send_at: int = 0


class Content(msgspec.Struct):
    type: str = ""
    value: str = ""


class SandboxMode(msgspec.Struct):
    enable: bool = False


class MailSettings(msgspec.Struct):
    sandbox_mode: SandboxMode = msgspec.field(default_factory=SandboxMode)


class Mail(msgspec.Struct):
    personalizations: list[Personalization] = []
    from_: Mailbox = msgspec.field(default_factory=Mailbox, name="from")
    subject: str = ""
    content: list[Content] = []
    template_id: str = ""
    custom_args: dict[str, str] = {}
    categories: list[str] = []
    headers: dict[str, str] = {}
    send_at: int = 0
    mail_settings: MailSettings = msgspec.field(default_factory=MailSettings)


decode_mail = msgspec.json.Decoder(Mail).decode
_decode_strings = msgspec.json.Decoder(dict[str, str]).decode


class MailRefused(Exception):
    """Raised when a rule is broken; `field` is the vendor's path of the culprit."""

    def __init__(self, message: str, field: str | None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


def check(mail: Mail, now: float) -> tuple[list[str], list[dict[str, str]]]:
    """The recipients and the custom_args of each personalization.

    Raises:
        MailRefused: a rule of the vendor is broken; then nothing of the mail is sent.
    """
    _check_frame(mail, now)
    addresses = _check_recipients(mail.personalizations)
    for index, personalization in enumerate(mail.personalizations):
        if personalization.send_at:
            _check_send_at(personalization.send_at, now, f"personalizations.{index}.send_at")
    substitutions = [p.substitutions for p in mail.personalizations]
    _check_sizes(substitutions, MAX_SUBSTITUTIONS_BYTES, "substitutions")
    return addresses, _arguments(mail)


def _check_frame(mail: Mail, now: float) -> None:
    if not mail.from_.email:
        raise MailRefused("The from object must be provided, with an email.", "from.email")
    if not _is_address(mail.from_.email):
        raise MailRefused("Does not contain a valid address.", "from.email")
    if not mail.template_id and not mail.content:
        raise MailRefused("Without a template_id the content parameter is required.", "content")
    for index, content in enumerate(mail.content):
        if not content.type:
            raise MailRefused("The content type must be a string.", f"content.{index}.type")
        if not content.value:
            field = f"content.{index}.value"
            raise MailRefused("The content value must be at least one character long.", field)
    types = [content.type for content in mail.content]
    if "text/plain" in types[1:]:
        raise MailRefused("If present, text/plain must be first, followed by text/html.", "content")
    if not (mail.subject or mail.template_id or all(p.subject for p in mail.personalizations)):
        raise MailRefused("The subject is required.", "subject")
    if len(mail.categories) > MAX_CATEGORIES:
        raise MailRefused("There is a limit of 10 categories.", "categories")
    if len(set(mail.categories)) != len(mail.categories):
        raise MailRefused("The category array cannot contain duplicate categories.", "categories")
    if any(len(category) > MAX_CATEGORY_CHARACTERS for category in mail.categories):
        raise MailRefused("A category cannot be longer than 255 characters.", "categories")
    if reserved := {name.lower() for name in mail.headers} & _RESERVED_HEADERS:
        field = f"headers.{min(reserved)}"
        raise MailRefused("The headers may not contain a reserved header.", field)
    _check_send_at(mail.send_at, now, "send_at")


def _check_send_at(send_at: int, now: float, field: str) -> None:
    if send_at > now + MAX_SEND_AHEAD_SECONDS:
        raise MailRefused("A send cannot be scheduled more than 72 hours ahead.", field)


def _check_recipients(personalizations: list[Personalization]) -> list[str]:
    if not personalizations:
        raise MailRefused("You must have at least one personalization.", "personalizations")
    if len(personalizations) > MAX_PERSONALIZATIONS:
        raise MailRefused(
            "The personalization block is limited to 1000 personalizations per API request. "
            f"You have provided {len(personalizations)} personalizations.",
            "personalizations",
        )
    mailboxes = [p.to for p in personalizations]
    if not all(mailboxes):
        field = f"personalizations.{next(i for i, to in enumerate(mailboxes) if not to)}.to"
        raise MailRefused("The to array is required for all personalization objects.", field)
    mailboxes += [p.cc for p in personalizations if p.cc]
    mailboxes += [p.bcc for p in personalizations if p.bcc]
    addresses = [mailbox.email for group in mailboxes for mailbox in group]
    if len(addresses) > MAX_RECIPIENTS:
        raise MailRefused(
            "There is a limit of 1000 total recipients (to + cc + bcc) per request.",
            "personalizations",
        )
    joined = "\n".join(addresses) + "\n"
    if not _are_addresses(joined) or "\nfail-invalid@" in f"\n{joined}":
        _refuse_address(personalizations)
    lowered = joined.lower().split("\n")
    if len(set(lowered)) != len(lowered):
        twice = next(a for i, a in enumerate(lowered) if a in lowered[:i])
        raise MailRefused(
            "Each unique email address in the personalizations array should only be included "
            f"once. You have included [{twice}] more than once.",
            "personalizations",
        )
    return addresses


def _refuse_address(personalizations: list[Personalization]) -> None:
    for index, personalization in enumerate(personalizations):
        for kind in ("to", "cc", "bcc"):
            for place, mailbox in enumerate(getattr(personalization, kind) or ()):
                if not _is_address(mailbox.email) or mailbox.email.startswith("fail-invalid@"):
                    field = f"personalizations.{index}.{kind}.{place}.email"
                    raise MailRefused("Does not contain a valid address.", field)


def _check_sizes(parts: list[msgspec.Raw], limit_bytes: int, field: str) -> None:
    if max(map(len, parts)) > limit_bytes:
        index = next(i for i, part in enumerate(parts) if len(part) > limit_bytes)
        message = f"Limited to {limit_bytes} bytes per personalization block."
        raise MailRefused(message, f"personalizations.{index}.{field}")


def _arguments(mail: Mail) -> list[dict[str, str]]:
    """The custom_args of each personalization, the mail's own below them."""
    parts = [p.custom_args for p in mail.personalizations]
    _check_sizes(parts, MAX_CUSTOM_ARGS_BYTES, "custom_args")
    shared, decode = mail.custom_args, _decode_strings
    arguments: list[dict[str, str]] = []
    try:
        for part in parts:
            arguments.append(decode(part) if part else {})
    except msgspec.ValidationError:
        field = f"personalizations.{len(arguments)}.custom_args"
        raise MailRefused("Invalid type. Expected: object of strings.", field) from None
    return [{**shared, **own} for own in arguments] if shared else arguments


def body_hashes(mail: Mail) -> list[int]:
    """One CRC-32 a personalization: over the shared parts, and over what is its own."""
    shared = zlib.crc32(mail.subject.encode())
    for content in mail.content:
        shared = zlib.crc32(content.value.encode(), shared)
    return [
        zlib.crc32(p.dynamic_template_data, zlib.crc32(p.substitutions, shared))
        if p.substitutions or p.dynamic_template_data
        else shared
        for p in mail.personalizations
    ]


def preview(mail: Mail, arguments: list[dict[str, str]], limit: int) -> list[Message]:
    """The first `limit` mails as their recipients would see them, substitutions made."""
    parts = {content.type: content.value for content in mail.content}
    messages = []
    for personalization, args in zip(mail.personalizations[:limit], arguments, strict=False):
        texts = [
            personalization.subject or mail.subject,
            parts.get("text/plain", ""),
            parts.get("text/html", ""),
        ]
        if personalization.substitutions:
            values: dict[str, Any] = msgspec.json.decode(personalization.substitutions)
            for tag, value in values.items():
                texts = [text.replace(tag, str(value)) for text in texts]
        messages.append(
            Message(
                channel="email",
                to=personalization.to[0].email,
                to_name=personalization.to[0].name or "",
                sender=mail.from_.name or mail.from_.email,
                title=texts[0],
                text=texts[1],
                html=texts[2],
                user=args.get("user_id", ""),
                delivery_id=args.get("delivery_id", ""),
                notification_id=args.get("notification_id", ""),
                batch=len(mail.personalizations),
            )
        )
    return messages
