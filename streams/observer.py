"""The engine's `Observer`: what happens becomes metrics, and logs where a person should look."""

import logging
import traceback
from collections import Counter
from operator import attrgetter

from schemas.kafka import InboundRecord, TopicPartition
from streams.engine.ports import RestoreReport, Transaction
from streams.metrics import Metrics
from tables.state import Kind

log = logging.getLogger("postrider.runner")
_TOPIC_OF, _COUNTED_AS = attrgetter("topic"), attrgetter("counted_as")


class WorkerObserver:
    """Counts by bounded labels only."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def record_in(self, record: InboundRecord) -> None:
        self._metrics.read[record.topic] += 1

    def forwarded(self, topic: str) -> None:
        self._metrics.own(self._metrics.records_forwarded, topic=topic).inc()

    def dead_lettered(self, stage: str, cause: str) -> None:
        self._metrics.own(self._metrics.dead_letters, stage=stage, cause=cause).inc()

    def stage_raised(self, stage: str, error: Exception) -> None:
        self._metrics.own(self._metrics.stage_errors, stage=stage).inc()
        # Type and place only: its text may hold what a producer or a person wrote.
        where = "".join(traceback.format_tb(error.__traceback__))
        fields = {"stage": stage, "error": type(error).__name__, "traceback": where}
        log.error("stage raised", extra=fields)

    def run_abandoned(self, stage: str, items: int) -> None:
        log.warning("work abandoned at the drain's bound", extra={"stage": stage, "items": items})

    def committed(self, partition: int, transaction: Transaction) -> None:
        metrics = self._metrics
        metrics.transactions.inc()
        for kind in Kind:
            if transaction.rows[kind]:
                metrics.own(metrics.rows, kind=kind.name.lower()).inc(len(transaction.rows[kind]))
        metrics.told.update(filter(None, map(_COUNTED_AS, transaction.records)))
        by_topic = Counter[str](map(_TOPIC_OF, transaction.records))
        for topic, count in by_topic.items():
            metrics.own(metrics.records_out, topic=topic).inc(count)

    def restored(self, partition: int, report: RestoreReport) -> None:
        self._metrics.restored_rows.inc(report.rows)
        self._metrics.own(self._metrics.restore_seconds, partition=str(partition)).set(
            report.seconds
        )

    def source_recreated(self, source: TopicPartition, position: int, end: int) -> None:
        log.error(
            "topic was re-created: reading it from its beginning",
            extra={
                "topic": source.topic,
                "partition": source.partition,
                "position": position,
                "end": end,
            },
        )

    def records_lost(self, source: TopicPartition, position: int, begin: int) -> None:
        self._metrics.own(self._metrics.records_lost, topic=source.topic).inc(begin - position)
        log.error(
            "retention removed records that were never read",
            extra={
                "topic": source.topic,
                "partition": source.partition,
                "from": position,
                "to": begin,
            },
        )
