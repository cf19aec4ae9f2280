"""SendGrid v3 `POST /v3/mail/send`: https://www.twilio.com/docs/sendgrid/api-reference/mail-send"""

import re
from dataclasses import dataclass, replace
from functools import partial

import msgspec

from sandbox.faults import magic_word
from sandbox.http import Reply, Request
from sandbox.providers import sendgrid_mail
from sandbox.providers.base import Accepted, retry_after, to_int

MAX_REQUEST_BYTES = 30 * 1024 * 1024

_HELP = "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#message."
_ERRORS = {
    "400": "Bad Request",
    "401": "The provided authorization grant is invalid, expired, or revoked",
    "403": "The from address does not match a verified Sender Identity.",
    "413": "Payload too large",
    "429": "too many requests",
    "500": "Internal server error",
    "503": "Service not available",
}


@dataclass
class SendGrid:
    api_key: str
    run_id: str
    """Makes message ids unique over restarts."""
    requests_per_second: int = 10_000
    name: str = "sendgrid"
    _second: int = 0
    _requests: int = 0
    _messages: int = 0

    def serves(self, path: str) -> bool:
        return path.startswith("/v3/")

    def judge(self, request: Request, now: float) -> Accepted | Reply:
        if (refusal := self._check_call(request)) is not None:
            return refusal
        self._count(now)
        if self._requests > self.requests_per_second:
            verdict: Accepted | Reply = _error(429, _ERRORS["429"])
        else:
            verdict = self._judge_mail(request, now)
        limits = self._limits()
        if isinstance(verdict, Reply):
            return replace(verdict, headers=verdict.headers + limits)
        verdict.reply = replace(verdict.reply, headers=verdict.reply.headers + limits)
        return verdict

    def error(self, code: str, retry_after_seconds: float | None) -> Reply | None:
        message = _ERRORS.get(code)
        if message is None:
            return None
        reply = _error(int(code), message)
        return replace(reply, headers=retry_after(retry_after_seconds) + self._limits())

    def _check_call(self, request: Request) -> Reply | None:
        authorization = request.headers.get("authorization")
        if authorization is None:
            return _error(401, "Permission denied, wrong credentials")
        if authorization != f"Bearer {self.api_key}":
            return _error(401, _ERRORS["401"])
        if request.path != "/v3/mail/send":
            return _error(404, "Not Found")
        if request.method != "POST":
            return _error(405, "method not allowed")
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return _error(415, "Content-Type should be application/json.")
        if len(request.body) > MAX_REQUEST_BYTES:
            return _error(413, _ERRORS["413"])
        return None

    def _judge_mail(self, request: Request, now: float) -> Accepted | Reply:
        try:
            mail = sendgrid_mail.decode_mail(request.body)
            addresses, arguments = sendgrid_mail.check(mail, now)
        except sendgrid_mail.MailRefused as refusal:
            field = refusal.field or ""
            return _error(400, refusal.message, field, _HELP + re.sub(r"\.\d+", "", field))
        except msgspec.ValidationError as error:
            return _error(400, f"Invalid type. {error}")
        except msgspec.DecodeError:
            return _error(400, _ERRORS["400"])
        if mail.mail_settings.sandbox_mode.enable:
            return Reply(200)  # judged like any other, but the vendor sends nothing
        self._messages += 1
        message_id = f"{self.run_id}-{self._messages:x}"
        return Accepted(
            Reply(202, headers=(("X-Message-Id", message_id),)),
            message_id=message_id,
            round=to_int(arguments[0].get("round")),
            attempt=to_int(arguments[0].get("attempt")),
            addresses=[p.to[0].email for p in mail.personalizations],
            delivery_ids=[args.get("delivery_id", "") for args in arguments],
            notification_ids=[args.get("notification_id", "") for args in arguments],
            body_hashes=sendgrid_mail.body_hashes(mail),
            magic=magic_word(addresses),
            preview=partial(sendgrid_mail.preview, mail, arguments),
        )

    def _count(self, now: float) -> None:
        if int(now) != self._second:
            self._second, self._requests = int(now), 0
        self._requests += 1

    def _limits(self) -> tuple[tuple[str, str], ...]:
        remaining = max(0, self.requests_per_second - self._requests)
        return (
            ("X-RateLimit-Limit", str(self.requests_per_second)),
            ("X-RateLimit-Remaining", str(remaining)),
            ("X-RateLimit-Reset", str(self._second + 1)),
        )


def _error(status: int, message: str, field: str | None = None, link: str | None = None) -> Reply:
    error = {"message": message, "field": field, "help": link}
    return Reply(status, msgspec.json.encode({"errors": [error]}))
