"""`Sandbox`: all providers in one event loop, each on a port of its own."""

import asyncio
import secrets
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from sandbox import credentials as accounts
from sandbox.clock import Clock, system_clock
from sandbox.desk import Desk
from sandbox.faults import FaultRule, Faults, FaultScript
from sandbox.feed import Feed
from sandbox.http import Connection
from sandbox.ledger import Entry, LedgerWriter, read_ledger
from sandbox.page import Page
from sandbox.providers.base import Provider
from sandbox.providers.fcm import Fcm
from sandbox.providers.google_oauth import GoogleOAuth
from sandbox.providers.sendgrid import SendGrid
from sandbox.providers.twilio import Twilio

PAGE = "page"


class _Listener:
    """One port, which can be closed and opened again: a provider that refuses connections."""

    def __init__(self, desk: Desk, host: str, port: int) -> None:
        self.port = port
        self._desk = desk
        self._host = host
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        if self._server is None:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: Connection(self._desk.handle, self._connections),
                self._host,
                self.port,
                backlog=1024,
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            for connection in list(self._connections):
                connection.abort()
            await self._server.wait_closed()
            self._server = None


class Sandbox:
    """Stands in for every provider while the context is open.

    `ports` maps `sendgrid`, `twilio`, `fcm` and `page` to fixed ports; others are chosen free.
    The provider objects (`sendgrid`, `twilio`, `fcm`, `oauth`) may be reconfigured while it runs.
    """

    def __init__(
        self,
        ledger_dir: Path,
        *,
        credentials: accounts.Credentials | None = None,
        host: str = "127.0.0.1",
        ports: Mapping[str, int] | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self.ledger_dir = ledger_dir
        self.credentials = credentials or accounts.generate()
        self.feed = Feed()
        self.faults = Faults()
        self._host = host
        self._ports = dict(ports or {})
        self._clock = clock
        run_id = secrets.token_hex(8)
        self.sendgrid = SendGrid(self.credentials.sendgrid_api_key, run_id)
        self.twilio = Twilio(
            self.credentials.twilio_account_sid, self.credentials.twilio_auth_token, run_id
        )
        self.oauth = GoogleOAuth(
            self.credentials.fcm_client_email,
            self.credentials.fcm_key_id,
            self.credentials.fcm_private_key.public_key(),
        )
        self.fcm = Fcm(self.credentials.fcm_project_id, run_id, self.oauth.is_valid)
        self._listeners: dict[str, _Listener] = {}
        self._desks: list[Desk] = []

    async def __aenter__(self) -> "Sandbox":
        self._ledger = LedgerWriter(self.ledger_dir, int(self._clock() * 1000))
        mounts: dict[str, list[Provider]] = {
            "sendgrid": [self.sendgrid],
            "twilio": [self.twilio],
            "fcm": [self.fcm, self.oauth],
        }
        for name, providers in mounts.items():
            desk = Desk(
                providers,
                ledger=self._ledger,
                faults=self.faults,
                feed=self.feed,
                clock=self._clock,
            )
            listener = _Listener(desk, self._host, self._ports.get(name, 0))
            await listener.open()
            self._desks.append(desk)
            self._listeners[name] = listener
        self.oauth.token_uri = self.url("fcm") + "/token"
        self._page = Page(feed=self.feed, faults=self.faults, listen=self.listen, clock=self._clock)
        await self._page.start(self._host, self._ports.get(PAGE, 0))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._page.stop()
        for listener in self._listeners.values():
            await listener.close()
        for desk in self._desks:
            await desk.close()
        self._ledger.close()

    def url(self, name: str) -> str:
        """The base URL of a provider, or of the page; a provider keeps its port while closed."""
        port = self._page.port if name == PAGE else self._listeners[name].port
        return f"http://{self._host}:{port}"

    async def listen(self, provider: str, is_open: bool) -> None:
        """Close a provider's port (connections are reset, new ones refused) or open it again.

        Raises:
            KeyError: no such provider.
        """
        listener = self._listeners[provider]
        await (listener.open() if is_open else listener.close())

    def fault(self, rule: FaultRule, *, seed: int = 0) -> int:
        """Put one fault in force; returns its id for `faults.remove`."""
        return self.faults.add(FaultScript([rule], seed), self._clock())[0]

    def script(self, script: FaultScript) -> list[int]:
        """Put the faults of a script in force from now on."""
        return self.faults.add(script, self._clock())

    def entries(self) -> list[Entry]:
        """Everything accepted so far, this run's and earlier ones' of the same directory."""
        return list(read_ledger(self.ledger_dir))

    def service_account(self) -> dict[str, str]:
        """What to put into the service-account file of the FCM sender."""
        return self.credentials.service_account(self.oauth.token_uri)

    def announcement(self) -> dict[str, Any]:
        """Everything a client needs to know, as `python -m sandbox --announce` writes it."""
        return {
            "page": self.url(PAGE),
            "ledger": str(self.ledger_dir),
            "sendgrid": {
                "base_url": self.url("sendgrid"),
                "api_key": self.credentials.sendgrid_api_key,
            },
            "twilio": {
                "base_url": self.url("twilio"),
                "account_sid": self.credentials.twilio_account_sid,
                "auth_token": self.credentials.twilio_auth_token,
                # Nothing is ever sent there; it is how a delivery's id comes into the ledger.
                "status_callback": f"{self.url('page')}/status",
            },
            "fcm": {
                "base_url": self.url("fcm"),
                "project_id": self.credentials.fcm_project_id,
                "service_account": self.service_account(),
            },
        }

    def announce(self, path: Path) -> None:
        """Write the announcement (it holds secrets, so for the owner only), whole or not at all."""
        partial = path.with_suffix(".partial")
        partial.touch(mode=0o600)
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(self.announcement())))
        partial.rename(path)
