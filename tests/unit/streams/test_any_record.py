"""Whatever bytes a producer writes: each reader of a public topic takes them or says why not."""

import json

import pytest

from agents.decide import request_id_of
from policies.stops import StopList
from schemas import topics
from schemas.dead_letter import decode_dead_letter, encode_dead_letter, letter_of_record
from schemas.decode import Undecodable
from schemas.forwarding import origin_of
from schemas.notification import NotificationRequest
from streams import topology
from streams.engine.routes import Source
from streams.letters.showing import original
from streams.reconcile.identify import identify_broadcast, identify_request
from streams.stop_feed import STOPS, StopFeed
from streams.topology import FlowSettings
from tests.mutations import records
from tests.unit.agents.decide_side import PARTITIONS, RULES

RECORDS = 1500
LANES = {topic: lane for lane, topic in topics.REQUESTED.items()}
DECIDE = topology.decide(
    FlowSettings(RULES, PARTITIONS, b"key", LANES, sms_senders=("us_main",)), StopList(RULES)
)
SOURCES: dict[str, Source] = {source.topic: source for source in DECIDE.sources}


@pytest.mark.parametrize(
    "topic",
    [
        *topics.REQUESTED.values(),
        topics.BROADCASTS_REQUESTED,
        topics.RECIPIENTS_CHANGED,
        topics.NOTIFICATIONS_CANCELLED,
        topics.CONTROLS,
    ],
)
def test_it_is_decoded_or_undecodable_with_a_detail(topic: str) -> None:
    details = []
    for record in records(topic, RECORDS, seed=3, partitions=PARTITIONS):
        try:
            SOURCES[topic].decode(record)
        except Undecodable as refused:
            details.append(refused.detail)

    assert all(details)
    assert RECORDS / 5 < len(details) < RECORDS * 4 / 5, "both are looked at"


@pytest.mark.parametrize("topic", sorted(set(STOPS) - {topics.RECIPIENTS_DERIVED}))
def test_a_tail_skips_what_it_cannot_read(topic: str) -> None:
    feed = StopFeed(StopList(RULES), address_key=b"key", partitions=PARTITIONS)

    for record in records(topic, RECORDS, seed=4, partitions=PARTITIONS):
        feed(record)


def test_reconcile_knows_a_request_by_the_id_that_its_receipts_name() -> None:
    topic, decoded = topics.REQUESTED["normal"], 0
    for record in records(topic, RECORDS, seed=5, partitions=PARTITIONS):
        found = identify_request(record, origin_of(record))
        item = DECIDE.envelopes.item(record, is_forwarded=False)
        try:
            item.value = SOURCES[topic].decode(record)
        except Undecodable:
            continue
        decoded += 1
        assert isinstance(item.value, NotificationRequest)
        assert found == (request_id_of(item), item.value.user_id)

    assert decoded > RECORDS / 5


@pytest.mark.parametrize("reveal", [True, False])
def test_its_dead_letter_can_be_shown(reveal: bool) -> None:
    for record in records(topics.RECIPIENTS_CHANGED, RECORDS, seed=7, partitions=PARTITIONS):
        letter = letter_of_record(
            record, stage="decide", cause="invalid", detail="", now_ms=0, replayable=False
        )
        shown = original(decode_dead_letter(encode_dead_letter(letter)), RULES, reveal=reveal)

        assert json.dumps(shown, indent=2, ensure_ascii=False).encode()


def test_reconcile_takes_any_broadcast() -> None:
    for record in records(topics.BROADCASTS_REQUESTED, RECORDS, seed=6, partitions=PARTITIONS):
        identify_broadcast(record, origin_of(record))
