"""Requests that come by hundreds in one record, through kill -9 of whoever decides on them."""

import json
from collections import Counter
from pathlib import Path

import pytest

from schemas import topics
from schemas.ids import partition_of
from streams.embedded_kafka import EmbeddedKafka
from streams.reconcile import reconcile
from streams.topology import DECIDE
from tests.acceptance.pipeline_lab import PARTITIONS, Pipeline, pipeline
from tests.acceptance.producing import SECONDS, at_rest, order, write

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(240)]

NORMAL = topics.REQUESTED["normal"]
RECORDS = 40
NEIGHBOURS = 300
STRANGERS = 5
"""Of another partition, in each record."""
KILLS = 3


async def test_each_request_of_a_batch_is_decided_once_whoever_dies_meanwhile(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    """None has a key, so what was done of a record is known by nothing but its position."""
    async with pipeline(kafka.bootstrap, tmp_path, roles=(DECIDE, "in_app")) as opened:
        await opened.until_ready()
        asked = [await write_batch(opened, number) for number in range(RECORDS)]
        users = {user for some in asked for user in some}

        for _ in range(KILLS):
            await until_more_is_told(opened)
            assert decided(opened).total() < len(users), "there was nothing left to interrupt"
            opened.kill(DECIDE)
        await at_rest(opened)

        assert decided(opened) == dict.fromkeys(users, 1)
        unreadable = {(each.partition, each.offset, each.part) for each in opened.letters}
        assert len(opened.letters) == len(unreadable) == RECORDS
        assert {(each.cause, each.value) for each in opened.letters} == {("invalid", b"7")}
        assert {part for _, _, part in unreadable} == {NEIGHBOURS}
        balance = await reconcile(opened.config)
        assert balance.holds, balance.lines()
        assert balance.requests == len(users) + RECORDS


def decided(opened: Pipeline) -> Counter[str]:
    """How often each user was told of."""
    return Counter(each.user_id for each in opened.receipts if each.status == "queued")


async def until_more_is_told(opened: Pipeline) -> None:
    before = len(opened.receipts)
    assert await opened.until(lambda: len(opened.receipts) > before, within_seconds=SECONDS)


async def write_batch(opened: Pipeline, number: int) -> list[str]:
    """Neighbours, something unreadable, strangers; the users that it asks for."""
    home = number % PARTITIONS
    neighbours, strangers = list[str](), list[str]()
    place = 0
    while len(neighbours) < NEIGHBOURS or len(strangers) < STRANGERS:
        user_id = f"user-{number}-{place}"
        place += 1
        is_at_home = partition_of(user_id, PARTITIONS) == home
        (neighbours if is_at_home else strangers).append(user_id)
    users = neighbours[:NEIGHBOURS] + strangers[:STRANGERS]
    elements = [json.dumps(order(user_id)).encode() for user_id in users]
    elements.insert(NEIGHBOURS, b"7")
    await write(opened, NORMAL, b"[%b]" % b", ".join(elements), partition=home)
    return users
