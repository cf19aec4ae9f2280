"""A running sandbox, and a client that says what each vendor's client says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest

from sandbox import credentials
from sandbox.credentials import Credentials
from sandbox.server import Sandbox

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"


class Answer:
    """Status, headers and decoded body of one reply."""

    def __init__(self, response: aiohttp.ClientResponse, body: Any) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = body


async def eventually(is_so: Callable[[], bool]) -> None:
    """Wait for what another task brings about."""
    async with asyncio.timeout(10):
        while True:
            if is_so():
                return
            await asyncio.sleep(0.002)


class ManualClock:
    """Seconds since the epoch, moved by the test."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Client:
    """Speaks each vendor's wire with good credentials; every part can be overridden."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session
        self.access_token = ""

    async def call(self, method: str, url: str, **options: Any) -> Answer:
        async with self.session.request(method, url, **options) as response:
            text = await response.text()
            is_json = response.content_type == "application/json" and text
            return Answer(response, await response.json() if is_json else text)

    async def mail(self, *to: str, http: dict[str, str] | None = None, **parts: Any) -> Answer:
        """One mail with a personalization for each address; `parts` replace parts of it."""
        body: dict[str, Any] = {
            "personalizations": [
                {"to": [{"email": address}], "custom_args": {"delivery_id": f"d-{index}"}}
                for index, address in enumerate(to)
            ],
            "from": {"email": "shop@example.com"},
            "subject": "Hello",
            "content": [{"type": "text/plain", "value": "Hello"}],
        } | parts
        authorization = f"Bearer {self.sandbox.credentials.sendgrid_api_key}"
        url = self.sandbox.url("sendgrid") + "/v3/mail/send"
        headers = {"Authorization": authorization} | (http or {})
        return await self.call("POST", url, json=body, headers=headers)

    async def sms(self, **fields: str | None) -> Answer:
        """One text message; a field of None is left out."""
        accounts = self.sandbox.credentials
        account, password = accounts.twilio_account_sid, accounts.twilio_auth_token
        return await self.sms_as(account, password, account, **fields)

    async def sms_as(self, user: str, password: str, account: str, **fields: str | None) -> Answer:
        login = aiohttp.encode_basic_auth(user, password)
        form = {"To": "+14155550100", "From": "+14155550199", "Body": "Hello"} | fields
        url = f"{self.sandbox.url('twilio')}/2010-04-01/Accounts/{account}/Messages.json"
        present = {name: value for name, value in form.items() if value is not None}
        return await self.call("POST", url, data=present, headers={"Authorization": login})

    def assertion(self, now: float, *, key: str = "", **claims: Any) -> str:
        account = self.sandbox.service_account()
        good = {
            "iss": account["client_email"],
            "aud": account["token_uri"],
            "scope": SCOPE,
            "iat": int(now),
            "exp": int(now) + 3600,
        }
        headers = {"kid": account["private_key_id"]}
        return jwt.encode(good | claims, key or account["private_key"], "RS256", headers=headers)

    async def token(self, assertion: str, grant: str = GRANT) -> Answer:
        form = {"grant_type": grant, "assertion": assertion}
        answer = await self.call("POST", self.sandbox.oauth.token_uri, data=form)
        if answer.status == 200:
            self.access_token = answer.body["access_token"]
        return answer

    async def push(
        self, token: str = "device-token-1", *, project: str = "", **parts: Any
    ) -> Answer:
        message = {"token": token, "notification": {"title": "Hello"}} | parts
        return await self.push_body({"message": message}, project=project)

    async def push_body(self, body: Any, *, project: str = "") -> Answer:
        project = project or self.sandbox.credentials.fcm_project_id
        url = f"{self.sandbox.url('fcm')}/v1/projects/{project}/messages:send"
        headers = {"Authorization": f"Bearer {self.access_token}"}
        return await self.call("POST", url, json=body, headers=headers)

    async def control(self, method: str, path: str, **options: Any) -> Answer:
        return await self.call(method, f"{self.sandbox.url('page')}/_sandbox{path}", **options)


@pytest.fixture(scope="session")
def accounts() -> Credentials:
    """Made once: an RSA key takes a moment."""
    return credentials.generate()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def sandbox(
    tmp_path: Path, accounts: Credentials, clock: ManualClock
) -> AsyncIterator[Sandbox]:
    async with Sandbox(tmp_path / "ledger", credentials=accounts, clock=clock) as running:
        yield running


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session:
        yield Client(sandbox, session)


@pytest.fixture
async def push_client(client: Client, clock: ManualClock) -> Client:
    """A client that has an access token already."""
    await client.token(client.assertion(clock.now))
    return client
