"""The load's outbox: what the broker never acknowledged is written down as such, or ends the load."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka.errors import KafkaTimeoutError

from proof.checker import ledgers
from proof.checker.evidence import Promise, Unsure
from proof.intents import IntentsLedger
from proof.load import outbox
from schemas import topics
from streams.names import Names

_decode = msgspec.json.Decoder(Promise).decode_lines


class _Silent:
    """A broker that acknowledges nothing."""

    def __init__(self, **_: Any) -> None:
        pass

    async def send_and_wait(self, *_: Any, **__: Any) -> None:
        raise KafkaTimeoutError


@pytest.fixture
def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> outbox.Outbox:
    monkeypatch.setattr(outbox, "AIOKafkaProducer", _Silent)  # the real one needs a broker
    ledger = IntentsLedger(tmp_path)
    return outbox.Outbox({}, names=Names(), partitions=4, ledger=ledger)


async def test_a_change_that_nobody_acknowledged_ends_the_load(silent: outbox.Outbox) -> None:
    said = {"change": "audience_joined", "user_id": "ann", "occurred_at": "2026-01-01T12:00:00Z"}
    silent.change(said, partition=0)

    with pytest.raises(KafkaTimeoutError):
        await silent.flush()
    with pytest.raises(KafkaTimeoutError):
        silent.change(said, partition=0)


async def test_a_request_that_nobody_acknowledged_may_have_come(
    silent: outbox.Outbox, tmp_path: Path
) -> None:
    silent.request(7, topics.REQUESTED["normal"], {"type": "code", "user_id": "ann"}, partition=0)
    await silent.flush()

    (promise,) = _decode((tmp_path / ledgers.PROMISES).read_bytes())
    assert promise == Unsure(7, "ann")
