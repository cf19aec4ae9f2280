"""What `postrider recipients import` does in a second: read, check, batch, produce.

Run: python -m benchmarks.import_recipients [RECIPIENTS]. It needs a Kafka of its own, which it
starts; CPU seconds are those of the importing process alone.
"""

import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.topics import RECIPIENTS_IMPORTED
from streams.batches import COMPRESSION
from streams.embedded_kafka import EmbeddedKafka
from streams.importing.formats import Format, rows_of
from streams.importing.run import Import
from streams.names import Names

PARTITIONS = 8


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with tempfile.TemporaryDirectory() as folder, EmbeddedKafka(Path(folder)) as kafka:
        asyncio.run(_measure(kafka.bootstrap, count))


async def _measure(bootstrap: str, count: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(RECIPIENTS_IMPORTED, PARTITIONS, 1)])
    await admin.close()
    formats: tuple[Format, ...] = ("csv", "jsonl")
    for format_ in formats:
        content = "".join(_csv(count) if format_ == "csv" else _jsonl(count)).encode()
        wall, cpu = time.perf_counter(), _cpu_seconds()
        await _import(bootstrap, format_, content)
        wall, cpu = time.perf_counter() - wall, _cpu_seconds() - cpu
        print(f"{format_}: {count / wall:,.0f}/s, {count / cpu:,.0f} a CPU second")


async def _import(bootstrap: str, format_: Format, content: bytes) -> None:
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, compression_type=COMPRESSION
    ) as producer:
        run = Import(
            producer,
            names=Names(),
            partitions=PARTITIONS,
            on_bad=lambda problems, row: sys.exit(f"not a good sample: {problems}"),
            on_progress=lambda tally: None,
        )
        await run.run(rows_of(format_, BytesIO(content)), as_of_ms=1_767_225_600_000)


def _csv(count: int) -> Iterator[str]:
    yield "user_id,email,phone,name,locale,timezone,audiences,push.enabled,push.quiet_hours\n"
    for number in range(count):
        yield f"user-{number},person.{number}@example.com,+4915112{number:06d},Ann Lee,pt-BR,"
        yield "Europe/Berlin,followers:7,on,23:00-07:00\n"


def _jsonl(count: int) -> Iterator[str]:
    for number in range(count):
        line = {
            "user_id": f"user-{number}",
            "email": f"person.{number}@example.com",
            "phone": f"+4915112{number:06d}",
            "name": "Ann Lee",
            "locale": "pt-BR",
            "timezone": "Europe/Berlin",
            "audiences": ["followers:7"],
            "preferences": {"push": {"enabled": True, "quiet_hours": "23:00-07:00"}},
        }
        yield f"{json.dumps(line)}\n"


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
