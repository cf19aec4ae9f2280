"""`postrider send`: one request, and what becomes of it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from policies.in_doubt import policy_of
from schemas.decode import Undecodable
from schemas.delivery import CHANNELS, Lane
from schemas.ids import partition_of
from schemas.notification import NotificationRequest
from schemas.receipt import Receipt, decode_receipt
from schemas.topics import RECEIPTS
from streams.cli.clients import patience_of, producing
from streams.cli.errors import Mistake
from streams.cli.options import CONFIG_FILE, AsJson, ConfigFile, DataDir, load_config, new_app
from streams.cli.values import duration_seconds, instant_ms
from streams.config import Config
from streams.following import Following
from streams.reaching import reach
from streams.requesting import Published, checked, publish

EXIT_NOT_SETTLED = 1
_POLL_MS = 500

app = new_app()


@app.command(short_help="Publish one request and print its id.")
def send(
    user: Annotated[str, typer.Option(metavar="USER_ID", help="Whom to tell.")],
    type_: Annotated[str, typer.Option("--type", metavar="TYPE", help="What happened.")],
    data: Annotated[
        str,
        typer.Option(metavar="JSON", help="What the templates speak of; @FILE, or - for stdin."),
    ] = "{}",
    channel: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHANNEL", help=f"Of the type's only this: {', '.join(CHANNELS)}; repeatable."
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Idempotency key: sent again with the same one, it is told once."),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="On whose behalf.")] = None,
    lane: Annotated[Lane, typer.Option(help="How urgent; never above the type's.")] = "normal",
    ttl: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Worthless after it: 90s, 5m, 24h.")
    ] = None,
    send_at: Annotated[
        str | None,
        typer.Option(metavar="INSTANT", help="Not before it, such as 2026-03-01T12:00:00Z."),
    ] = None,
    follow: Annotated[bool, typer.Option(help="Show its receipts until it is settled.")] = False,
    timeout: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="With --follow: give up after it; exit code 1."),
    ] = None,
    config: ConfigFile = CONFIG_FILE,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Publish one notification request and print its notification id.

    `postrider show ID` tells later what became of it. With --json each line is an object: first
    where the request is, then, with --follow, its receipts.
    """
    loaded = load_config(config, data_dir=data_dir)
    members = {
        "user_id": user,
        "type": type_,
        "data": _json_of(data),
        "channels": channel or None,
        "idempotency_key": key,
        "tenant": tenant,
        "send_at": send_at,
        "ttl_seconds": None if ttl is None else max(1, round(duration_seconds("--ttl", ttl))),
    }
    if send_at is not None:
        instant_ms("--send-at", send_at)
    try:
        request, value = checked({name: said for name, said in members.items() if said is not None})
    except Undecodable as error:
        raise Mistake(error.detail) from None
    seconds = None if timeout is None else duration_seconds("--timeout", timeout)
    sending = _Sending(loaded, request, value, lane, as_json=as_json)
    try:
        asyncio.run(sending.run(follow=follow, timeout_seconds=seconds))
    except TimeoutError:
        typer.echo(f"not settled after {timeout}", err=True)
        raise typer.Exit(EXIT_NOT_SETTLED) from None


class _Sending:
    def __init__(
        self,
        config: Config,
        request: NotificationRequest,
        value: bytes,
        lane: Lane,
        *,
        as_json: bool,
    ) -> None:
        self._config = config
        self._request = request
        self._value = value
        self._topic = _topic_of(config, lane, request.tenant)
        self._as_json = as_json

    async def run(self, *, follow: bool, timeout_seconds: float | None) -> None:
        if not follow:
            self._told(await self._publish())
            return
        async with self._receipts() as receipts:
            published = await self._publish()
            self._told(published)
            async with asyncio.timeout(timeout_seconds):
                await self._follow(receipts, published)

    async def _publish(self) -> Published:
        async with producing(self._config, self._topic) as producer:
            return await publish(
                producer,
                self._request,
                self._value,
                topic=self._topic,
                names=self._config.kafka.names,
                partitions=self._config.partitions,
            )

    async def _follow(self, receipts: AsyncIterator[Receipt], published: Published) -> None:
        rules, type_name = self._config.rules, self._request.type
        kind = rules.types.get(type_name)
        following = Following(
            published.notification_id,
            fallback=() if kind is None else kind.fallback,
            resends=policy_of(rules, type_name) == "resend",
        )
        async for receipt in receipts:
            if following.note(receipt):
                typer.echo(_line(receipt) if not self._as_json else msgspec.json.encode(receipt))
                if following.is_settled:
                    return

    @asynccontextmanager
    async def _receipts(self) -> AsyncIterator[AsyncIterator[Receipt]]:
        """Receipts of the user's partition, from now on."""
        await reach(self._config.kafka)
        partition = partition_of(self._request.user_id, self._config.partitions)
        place = TopicPartition(self._config.kafka.names.physical(RECEIPTS), partition)
        consumer = AIOKafkaConsumer(
            **self._config.kafka.connection(),
            isolation_level="read_committed",
            enable_auto_commit=False,
        )
        try:
            await consumer.start()
            consumer.assign([place])
            await consumer.seek_to_end(place)
            await consumer.position(place)  # seeking is lazy: it must be done before we publish
            ask = partial(consumer.end_offsets, [place])
            watching = asyncio.create_task(patience_of(self._config).watch(ask))
            try:
                yield _decoded(consumer)
            finally:
                watching.cancel()
        finally:
            await consumer.stop()

    def _told(self, published: Published) -> None:
        typer.echo(json.dumps(asdict(published)) if self._as_json else published.notification_id)


async def _decoded(consumer: AIOKafkaConsumer) -> AsyncIterator[Receipt]:
    while True:
        for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
            for record in records:
                yield decode_receipt(record.value)


def _line(receipt: Receipt) -> str:
    said = [receipt.occurred_at, receipt.channel or receipt.kind, receipt.status]
    if receipt.reason:
        said.append(f"({receipt.reason})")
    if receipt.provider:
        said.append(f"by {receipt.provider}, attempt {receipt.attempt}")
    if receipt.device_id:
        said.append(f"on {receipt.device_id}")
    return " ".join(said)


def _topic_of(config: Config, lane: Lane, tenant: str | None) -> str:
    for ingress in config.ingress:
        if ingress.lane == lane and (not ingress.tenants or tenant in ingress.tenants):
            return ingress.topic
    whose = f" for tenant {tenant}" if tenant else " without a tenant"
    raise Mistake(f"--lane: no ingress topic of the configuration carries {lane}{whose}")


def _json_of(text: str) -> Any:
    try:
        if text == "-":
            text = sys.stdin.read()
        elif text.startswith("@"):
            text = Path(text[1:]).read_text()
        return json.loads(text)
    except OSError as error:
        raise Mistake(f"--data: {text[1:]} cannot be read: {error.strerror}") from None
    except ValueError as error:  # also of bytes that are no UTF-8
        raise Mistake(f"--data: not JSON: {error}") from None
