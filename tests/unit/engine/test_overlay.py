"""The overlay reads like a store to which every staged yield had been applied already."""

import random

from hypothesis import given
from hypothesis import strategies as st

from streams.engine.overlay import Overlay
from tables.state import Kind, Row
from tests.simulation.broker import Broker
from tests.simulation.disk import Files, MemoryStore

KEYS = [b"ta1", b"ta2", b"ta3", b"ta4", b"tb1", b"tb2"]
writes = st.lists(st.tuples(st.sampled_from(KEYS), st.none() | st.binary(max_size=2)), max_size=8)


def store_of(rows: dict[bytes, bytes]) -> MemoryStore:
    files = Files()
    files.write(Kind.DURABLE, list(rows.items()), 0)
    broker = Broker(now_ms=lambda: 0, randomness=random.Random(0))
    return MemoryStore(role="r", partition=0, files=files, broker=broker)


@given(
    committed=st.dictionaries(st.sampled_from(KEYS), st.binary(max_size=2)),
    yields=st.lists(writes, max_size=4),
    limit=st.integers(1, 6),
)
def test_reads_see_staged_rows_before_committed_ones(
    committed: dict[bytes, bytes],
    yields: list[list[tuple[bytes, bytes | None]]],
    limit: int,
) -> None:
    overlay = Overlay(0, store_of(committed))
    model: dict[bytes, bytes] = dict(committed)
    for rows in yields:
        layer = overlay.begin_layer()
        layer.write(Row(Kind.DURABLE, key, value) for key, value in rows)
        for key, value in rows:
            if value is None:
                model.pop(key, None)
            else:
                model[key] = value

    assert overlay.get_many(Kind.DURABLE, KEYS) == [model.get(key) for key in KEYS]
    assert [overlay.get(Kind.DURABLE, key) for key in KEYS] == [model.get(key) for key in KEYS]
    expected = sorted((k, v) for k, v in model.items() if b"ta2" <= k < b"tb2")[:limit]
    assert overlay.scan(Kind.DURABLE, b"ta2", b"tb2", limit) == expected


def test_a_row_written_again_by_a_later_yield_stays_staged_when_the_earlier_is_applied() -> None:
    overlay = Overlay(0, store_of({}))
    overlay.begin_layer().write([Row(Kind.DURABLE, b"k", b"old")])
    overlay.begin_layer().write([Row(Kind.DURABLE, b"k", b"new")])

    overlay.drop_layer()

    assert overlay.get(Kind.DURABLE, b"k") == b"new"


def test_the_two_kinds_do_not_see_each_other() -> None:
    overlay = Overlay(0, store_of({}))
    overlay.begin_layer().write([Row(Kind.TRANSIENT, b"k", b"transient")])

    assert overlay.get(Kind.DURABLE, b"k") is None
