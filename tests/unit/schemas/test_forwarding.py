import msgspec
import pytest

from schemas.forwarding import Origin, forward, origin_of
from schemas.kafka import Headers, InboundRecord
from schemas.topics import forwarded
from tests.unit.schemas.inbound import APPENDED_MS, NORMAL, arrived, record, request


def test_a_forwarded_record_speaks_for_its_origin() -> None:
    misplaced = record(request(), headers=(("traceparent", b"00-a"),))

    sent = forward(misplaced, 6)

    assert (sent.topic, sent.partition, sent.value) == (forwarded(NORMAL), 6, misplaced.value)
    assert arrived(sent).header("traceparent") == b"00-a"
    assert origin_of(arrived(sent)) == Origin(NORMAL, 3, 17, APPENDED_MS)


def test_an_origin_that_a_producer_made_up_is_not_carried_on() -> None:
    made_up: Headers = (("origin-topic", NORMAL.encode()), ("origin-offset", b"1"))

    sent = forward(record(request(), headers=made_up), 6)

    assert [name for name, _ in sent.headers].count("origin-offset") == 1
    assert origin_of(arrived(sent)).offset == 17


@pytest.mark.parametrize("topic", [NORMAL, forwarded("recipients.changed")])
def test_an_origin_is_believed_only_where_nobody_else_may_write_it(topic: str) -> None:
    headers = forward(record(request()), 6).headers
    claiming = InboundRecord(topic, 2, 40, APPENDED_MS, None, b"{}", headers)

    assert origin_of(claiming) == Origin(topic, 2, 40, APPENDED_MS)


@pytest.mark.parametrize("broken", ["origin-partition", "origin-offset", "origin-timestamp-ms"])
def test_a_record_without_a_readable_origin_speaks_for_itself(broken: str) -> None:
    sent = forward(record(request()), 6)
    for headers in (
        tuple(header for header in sent.headers if header[0] != broken),
        (*sent.headers, (broken, b"\xff")),
    ):
        damaged = arrived(msgspec.structs.replace(sent, headers=headers))

        assert origin_of(damaged) == Origin(forwarded(NORMAL), 6, 99, APPENDED_MS + 5_000)
