"""The catalogue of metrics: every one has a unit and a meaning, and none can tell of a person."""

import re

from prometheus_client import generate_latest

from agents.facts import Fact
from agents.receipts import ReceiptWriter
from schemas.delivery import Body
from streams.engine.ports import Transaction
from streams.metrics import Metrics
from streams.observer import WorkerObserver

LABELS = {
    "role", "slot", "topic", "channel", "status", "reason", "stage", "cause", "kind", "provider",
    "outcome", "partition",
}  # fmt: skip
"""Each has as many values as there are things in the configuration and the code."""
UNITS = ("_seconds", "_bytes")
COUNTED = {
    "open_records", "open_calls", "breaker_open", "ready", "partitions", "may_call",
}  # fmt: skip
"""Gauges that count things, or are 0 or 1."""


def catalogue() -> Metrics:
    metrics = Metrics(role="decide", slot=3)
    metrics.observe("partitions", "Partitions held.", lambda: 2.0)
    return metrics


def test_every_metric_is_named_once_and_says_what_it_is() -> None:
    families = list(catalogue().registry.collect())

    names = [family.name for family in families]
    assert len(set(names)) == len(names)
    for family in families:
        assert re.fullmatch(r"postrider_[a-z_]+", family.name)
        assert family.documentation.endswith("."), family.name


def test_a_metric_that_is_no_count_has_its_unit_in_its_name() -> None:
    for family in catalogue().registry.collect():
        if family.type in ("gauge", "histogram"):
            name = family.name.removeprefix("postrider_")
            assert name.endswith(UNITS) or name in COUNTED, family.name


def test_labels_are_of_the_bounded_kind() -> None:
    metrics = vars(catalogue()).values()

    assert set().union(*(getattr(metric, "_labelnames", ()) for metric in metrics)) == LABELS


def test_receipts_are_counted_by_channel_status_and_reason_and_never_by_user() -> None:
    metrics = catalogue()
    receipts = ReceiptWriter(partitions=4).at(0)
    body = Body("news", "social", {}, expires_ms=1)
    queued, refused = Fact("queued"), Fact("suppressed", "opted_out_channel")
    records = [
        receipts.delivery(fact, body, "push", "person-17", bytes(16), bytes(16))
        for fact in (queued, queued, refused)
    ]
    WorkerObserver(metrics).committed(0, Transaction(({}, {b"person-17": b""}), records))

    metrics.refresh()
    metrics.refresh()

    text = generate_latest(metrics.registry).decode()
    own = 'role="decide",slot="3"'
    lines = text.splitlines()
    told = 'channel="push",reason="",role="decide",slot="3",status="queued"'
    assert f"postrider_deliveries_total{{{told}}} 2.0" in lines
    assert f"postrider_transactions_total{{{own}}} 1.0" in lines
    assert f'postrider_rows_total{{kind="durable",{own}}} 1.0' in lines
    assert f'postrider_records_out_total{{{own},topic="receipts"}} 3.0' in lines
    assert "person-17" not in text


def test_a_receipt_is_counted_once_it_is_committed_and_not_when_it_is_written() -> None:
    metrics = catalogue()
    many = [("ann", bytes(16), bytes(16))] * 20
    body = Body("news", "social", {}, expires_ms=1)

    written = ReceiptWriter(partitions=4).at(0).deliveries(Fact("queued"), body, "push", many)

    assert not metrics.told

    WorkerObserver(metrics).committed(0, Transaction(({}, {}), written))

    assert metrics.told == {("push", "queued", ""): 20}
