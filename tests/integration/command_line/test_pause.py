"""`postrider pause` and `postrider resume`, and how soon a worker knows."""

import asyncio
import json
import time

from policies.rules import Rules
from policies.stops import StopList
from schemas.kafka import InboundRecord
from schemas.topics import CONTROLS
from streams.cli.clients import patience_of
from streams.stop_feed import CALLED_OFF, StopFeed
from streams.tail_reader import KafkaTailReader
from streams.tails import Tails
from tests.doubles.never import never
from tests.integration.command_line.conftest import PARTITIONS, Installation

IN_FORCE_SECONDS = 1.0


def paused(postrider: Installation) -> list[tuple[str, str, str]]:
    listed = json.loads(postrider("pause", "--list", "--json").out)
    return [(each["scope"], each["name"], each["reason"]) for each in listed]


def test_a_pause_is_listed_until_it_is_resumed(postrider: Installation) -> None:
    said = postrider("pause", "--type", "promotion", "--reason", "wrong price")
    postrider("pause", "--channel", "sms")
    postrider("pause", "--tenant", "acme")
    postrider("pause", "--provider", "fcm")

    assert (said.code, said.out) == (0, "type promotion is paused\n")
    assert paused(postrider) == [
        ("channel", "sms", ""),
        ("provider", "fcm", ""),
        ("tenant", "acme", ""),
        ("type", "promotion", "wrong price"),
    ]
    assert "wrong price" in postrider("pause", "--list").out

    for option, name in (("channel", "sms"), ("type", "promotion"), ("provider", "fcm")):
        assert postrider("resume", f"--{option}", name).out == f"{option} {name} goes on\n"

    assert paused(postrider) == [("tenant", "acme", "")]


def test_all_words_on_one_thing_have_one_key_in_one_partition(postrider: Installation) -> None:
    postrider("pause", "--channel", "sms")
    postrider("resume", "--channel", "sms")
    postrider("pause", "--channel", "sms")

    records = postrider.read(CONTROLS)

    assert {(record.partition, record.key) for record in records} == {
        (records[0].partition, b"channel:sms")
    }
    assert [json.loads(record.value or b"")["action"] for record in records] == [
        "pause", "resume", "pause"
    ]  # fmt: skip


def test_a_pause_is_in_force_within_a_second(postrider: Installation) -> None:
    async def seconds_until_paused() -> float:
        stops, is_known = StopList(Rules(types={})), asyncio.Event()
        feed = StopFeed(stops, address_key=b"k", partitions=PARTITIONS)

        def note(record: InboundRecord) -> None:
            feed(record)
            if stops.is_paused("channel:sms"):
                is_known.set()

        tails = Tails(
            reader=KafkaTailReader(
                topics=CALLED_OFF,
                partitions=PARTITIONS,
                names=postrider.config.kafka.names,
                connection=postrider.config.kafka.connection(),
                patience=patience_of(postrider.config),
                on_lost=never,
            ),
            feed=note,
            now_seconds=time.monotonic,
            max_age_seconds=5,
        )
        await tails.start(die=lambda error: None)
        await tails.catch_up()
        await asyncio.to_thread(postrider, "pause", "--channel", "sms")
        said_at = time.monotonic()
        await is_known.wait()
        known_at = time.monotonic()
        await tails.close()
        return known_at - said_at

    assert postrider.run(seconds_until_paused()) < IN_FORCE_SECONDS


def test_a_mistake_is_told_in_a_line_and_pauses_nothing(postrider: Installation) -> None:
    postrider("pause", "--tenant", "acme")
    told = {
        ("pause",): "say one of --channel, --type, --tenant, --provider",
        ("pause", "--channel", "sms", "--type", "promotion"): (
            "say one of --channel, --type, --tenant, --provider"
        ),
        ("pause", "--channel", "fax"): (
            "--channel: no channel fax is configured; expected one of email, in_app, push, sms"
        ),
        ("pause", "--provider", "acs"): (
            "--provider: no provider acs is configured; expected one of fcm, sendgrid, twilio"
        ),
        ("pause", "--tenant", "a b"): r"name: String should match pattern '^[^\s\p{C}]+$'",
        ("resume", "--tenant", "acne"): "tenant acne is not paused; paused are tenant acme",
    }

    ended = {arguments: postrider(*arguments) for arguments in told}

    assert {arguments: each.err for arguments, each in ended.items()} == {
        arguments: f"postrider: {line}\n" for arguments, line in told.items()
    }
    assert {each.code for each in ended.values()} == {2}
    assert paused(postrider) == [("tenant", "acme", "")]
