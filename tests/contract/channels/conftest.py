"""Every sender against the sandbox that speaks its provider's wire."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import pytest

from channels.base import Content, EmailContent, Outgoing, PushContent, Sender, SmsContent
from channels.catalogue import PROVIDERS
from channels.email.sendgrid import SendGridSettings
from channels.push.fcm import FcmSettings
from channels.settings import ProviderSettings
from channels.sms.twilio import TwilioSettings
from policies.clock import SystemClock
from sandbox import credentials
from sandbox.faults import FaultRule
from sandbox.ledger import Entry
from sandbox.server import Sandbox
from schemas.ids import to_text

CONTENT: dict[str, Content] = {
    "sendgrid": EmailContent("Hello", "text", "<p>html</p>"),
    "twilio": SmsContent("hello"),
    "fcm": PushContent("Hello", "body", {"order": "7"}),
}
ADDRESS = {
    "sendgrid": "user.{}@example.com",
    "twilio": "+4915550{:05}",
    "fcm": "device-token-{}",
}
TIMEOUT_SECONDS = 5.0


@dataclass
class Bench:
    """One provider's sender, and the other end of its wire."""

    provider: str
    sandbox: Sandbox
    settings: ProviderSettings
    _started: list[Sender] = field(default_factory=list)

    async def sender(self, **changes: object) -> Sender:
        """A started sender with some settings changed."""
        settings = replace(self.settings, **changes)  # type: ignore[arg-type]  # fields by name
        made = PROVIDERS[self.provider].make(settings, SystemClock())
        await made.start()
        self._started.append(made)
        return made

    async def close(self) -> None:
        for sender in self._started:
            await sender.close()

    def outgoing(
        self, number: int = 1, address: str = "", content: Content | None = None
    ) -> Outgoing:
        return Outgoing(
            number.to_bytes(16, "big"),
            (10_000 + number).to_bytes(16, "big"),
            f"user-{number}",
            address or ADDRESS[self.provider].format(number),
            CONTENT[self.provider] if content is None else content,
            expires_ms=SystemClock().now_ms() + 3_600_000,
            sender="+15550100000",
        )

    def fault(self, **rule: object) -> int:
        return self.sandbox.fault(msgspec.convert({"provider": self.provider, **rule}, FaultRule))

    def entries(self, message: Outgoing) -> list[Entry]:
        """What the provider accepted of one delivery."""
        delivery_id = to_text(message.delivery_id)
        return [entry for entry in self.sandbox.entries() if entry.delivery_id == delivery_id]

    def requests(self) -> int:
        """How many times the provider was called."""
        return self.sandbox.feed.stats(self.provider).requests


@pytest.fixture(scope="session")
def accounts() -> credentials.Credentials:
    return credentials.generate()


@pytest.fixture
async def sandbox(tmp_path: Path, accounts: credentials.Credentials) -> AsyncIterator[Sandbox]:
    async with Sandbox(tmp_path / "ledger", credentials=accounts) as running:
        yield running


async def opened(provider: str, sandbox: Sandbox) -> AsyncIterator[Bench]:
    bench = Bench(provider, sandbox, settings_of(provider, sandbox))
    yield bench
    await bench.close()


@pytest.fixture(params=list(PROVIDERS))
async def bench(request: pytest.FixtureRequest, sandbox: Sandbox) -> AsyncIterator[Bench]:
    """Each provider in turn: what every sender must do."""
    async for one in opened(request.param, sandbox):
        yield one


@pytest.fixture
async def sendgrid(sandbox: Sandbox) -> AsyncIterator[Bench]:
    async for one in opened("sendgrid", sandbox):
        yield one


@pytest.fixture
async def twilio(sandbox: Sandbox) -> AsyncIterator[Bench]:
    async for one in opened("twilio", sandbox):
        yield one


@pytest.fixture
async def fcm(sandbox: Sandbox) -> AsyncIterator[Bench]:
    async for one in opened("fcm", sandbox):
        yield one


def settings_of(provider: str, sandbox: Sandbox) -> ProviderSettings:
    announced = sandbox.announcement()[provider]
    base_url = announced["base_url"]
    match provider:
        case "sendgrid":
            return SendGridSettings(
                base_url=base_url,
                api_key=announced["api_key"],
                from_email="shop@example.com",
                timeout_seconds=TIMEOUT_SECONDS,
            )
        case "twilio":
            return TwilioSettings(
                base_url=base_url,
                account_sid=announced["account_sid"],
                auth_token=announced["auth_token"],
                status_callback="https://example.com/reports/twilio",
                timeout_seconds=TIMEOUT_SECONDS,
            )
        case "fcm":
            return FcmSettings(
                base_url=base_url,
                service_account=msgspec.json.encode(announced["service_account"]).decode(),
                timeout_seconds=TIMEOUT_SECONDS,
            )
    raise LookupError(provider)
