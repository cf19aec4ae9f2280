"""What `postrider pause` and `postrider resume` have in common."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from policies.clock import SystemClock
from policies.stop_memory import Scope
from schemas.decode import Undecodable
from schemas.delivery import CHANNELS
from schemas.notification import Control
from schemas.topics import CONTROLS
from streams.cli.clients import producing
from streams.cli.errors import Mistake
from streams.cli.laid_out import require_topics
from streams.config import Config
from streams.controls import paused, record_of
from streams.outbox import Outbox
from streams.reading import Reader

Channel = Annotated[str | None, typer.Option(help=f"One of {', '.join(CHANNELS)}.")]
Type = Annotated[str | None, typer.Option("--type", help="A type of notification.")]
Tenant = Annotated[str | None, typer.Option(help="On whose behalf notifications are.")]
Provider = Annotated[str | None, typer.Option(help="Who carries a channel, such as twilio.")]


@dataclass(frozen=True, slots=True)
class Thing:
    """What is paused or resumed."""

    scope: Scope
    name: str

    def __str__(self) -> str:
        return f"{self.scope} {self.name}"


def thing(
    channel: str | None, type_: str | None, tenant: str | None, provider: str | None
) -> Thing:
    """The only one that is named."""
    given: list[tuple[Scope, str | None]] = [
        ("channel", channel), ("type", type_), ("tenant", tenant), ("provider", provider)
    ]  # fmt: skip
    named = [Thing(scope, name) for scope, name in given if name is not None]
    if len(named) != 1:
        raise Mistake("say one of --channel, --type, --tenant, --provider")
    return named[0]


def require_known(config: Config, what: Thing) -> None:
    """A pause of a mistyped name would hold nothing back; tenants are known to nobody."""
    known: dict[Scope, Collection[str]] = {
        "channel": CHANNELS,
        "type": config.rules.types,
        "provider": {name for chosen in config.providers.values() for name, _ in chosen},
    }
    if what.scope in known and what.name not in known[what.scope]:
        expected = ", ".join(sorted(known[what.scope]))
        raise Mistake(f"--{what.scope}: no {what} is configured; expected one of {expected}")


def say(
    config: Config, action: Literal["pause", "resume"], what: Thing, reason: str | None = None
) -> None:
    """Write the word; workers obey it within a second."""
    try:
        record = record_of(
            action,
            what.scope,
            what.name,
            reason=reason,
            now_ms=SystemClock().now_ms(),
            partitions=config.partitions,
        )
    except Undecodable as error:
        raise Mistake(error.detail) from None

    async def write() -> None:
        async with producing(config, CONTROLS) as producer:
            outbox = Outbox(producer, names=config.kafka.names)
            await outbox.send(record)
            await outbox.flush()

    asyncio.run(write())


def held(config: Config) -> Sequence[Control]:
    """What is paused now."""

    async def read() -> Sequence[Control]:
        await require_topics(config, CONTROLS)
        async with Reader(names=config.kafka.names, connection=config.kafka.connection()) as reader:
            return await paused(reader, partitions=config.partitions)

    return asyncio.run(read())
