"""Records of what is assigned, from the consumer into the runner: one loop seeks, fetches and pushes.

Faust would pass each record through its conductor, a stream and an agent, and remembers across
assignments what it has read. Where one rebalance overtook another, it read on without a seek: what
lay before was never decided. Here a fetch belongs to the assignment it began in, or is dropped; and
whoever reads on has sought first, with no other fetch under way.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiokafka
import mode
from aiokafka.errors import (
    ConsumerStoppedError,
    IllegalStateError,
    KafkaError,
    OffsetOutOfRangeError,
)
from aiokafka.structs import TopicPartition as KafkaPartition
from faust.exceptions import ConsumerNotStarted
from faust.transport.drivers import aiokafka as driver

from policies.clock import SystemClock
from schemas.kafka import InboundRecord, TopicPartition
from streams.engine.runner import Runner
from streams.fetch_sessions import SessionClient
from streams.names import Names

_PARKED_SECONDS = 0.005
"""Between two looks while nothing may be fetched."""
_FETCH_SECONDS = 0.1
"""A fetch that finds nothing ends after it: so long may a source wait that was paused."""
_FETCH_BYTES = 1024 * 1024
_LEAST_TIMEOUT_MS = 3000
_HEAR_SECONDS = 1.0


@dataclass(eq=False, slots=True)
class Reading:
    """One assignment: where each source is read from, which are paused, and when each had no more."""

    seeks: Mapping[KafkaPartition, int]
    paused: set[KafkaPartition] = field(default_factory=set)
    heard_ms: dict[KafkaPartition, int] = field(default_factory=dict)

    def wanted(self) -> set[KafkaPartition]:
        return self.seeks.keys() - self.paused


class FaustIntake:
    """The engine's `IntakeControl`, and what is read now: None between two assignments."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self.reading: Reading | None = None

    def begin(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read these from here on."""
        self.reading = Reading({self.physical(place): at for place, at in positions.items()})

    def end(self) -> None:
        """What is fetched from now on is somebody else's, or will be read again."""
        self.reading = None

    def pause(self, source: TopicPartition) -> None:
        if self.reading is not None:
            self.reading.paused.add(self.physical(source))

    def resume(self, source: TopicPartition) -> None:
        if self.reading is not None:
            self.reading.paused.discard(self.physical(source))

    def heard_ms(self, source: TopicPartition) -> int:
        if self.reading is None:
            return 0
        return self.reading.heard_ms.get(self.physical(source), 0)

    def physical(self, source: TopicPartition) -> KafkaPartition:
        return KafkaPartition(self._names.physical(source.topic), source.partition)

    def logical(self, place: KafkaPartition) -> TopicPartition:
        return TopicPartition(self._names.logical(place.topic), place.partition)

    def records(self, fetched: Iterable[Any]) -> Iterable[InboundRecord]:
        """aiokafka's records as ours."""
        logical = self._names.logical
        for each in fetched:
            yield InboundRecord(
                logical(each.topic),
                each.partition,
                each.offset,
                each.timestamp,
                each.key,
                each.value,
                tuple((name, value or b"") for name, value in each.headers),
            )


class _KafkaConsumer(aiokafka.AIOKafkaConsumer):  # type: ignore[misc]  # which has no types
    async def start(self) -> None:
        await super().start()
        self._fetcher._client = SessionClient(self._fetcher._client, SystemClock())


def _heartbeat_timeout_ms(session_ms: int) -> int:
    """One that is not answered must be sent again on another connection in time; and once more, since
    a coordinator that hangs is named as such until its cluster has noticed, which takes it 9 s."""
    return min(session_ms // 2, max(session_ms // 6, _LEAST_TIMEOUT_MS))


class _Thread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        """Faust's own, but reading committed records and with our way to connect."""
        app: Any = self.app
        conf = app.conf
        self._assignor = app.assignor  # the co-partitioned one, in spite of no tables
        session_ms = int(conf.broker_session_timeout * 1000)
        patience_ms = app.connection.get("request_timeout_ms", session_ms)
        timeout = {"request_timeout_ms": min(patience_ms, _heartbeat_timeout_ms(session_ms))}
        return _KafkaConsumer(
            **{**app.connection, **timeout},
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="none",  # it would pass over what retention removed, and tell nobody
            isolation_level="read_committed",
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=200,
            session_timeout_ms=session_ms,
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
        )


class _Consumer(driver.Consumer):
    def _new_consumer_thread(self) -> Any:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """Faust asks for it when it believes that it is time; the loop below knows when."""

    async def _drain_messages(self, fetcher: Any) -> None:
        app: Any = self.app
        try:
            await self._read(app.intake, app.runner, fetcher)
        except BaseException as error:  # a fetch that is cancelled goes on in the thread
            if not app.should_stop:
                app.die(error)
                raise

    @mode.Service.task
    async def _hear_the_coordinator(self) -> None:
        """The group's coordination stands still until somebody has heard what went wrong in it, such
        as a join that was refused; Faust never asks."""
        app: Any = self.app
        while not self.should_stop:
            await self.sleep(_HEAR_SECONDS)
            try:
                await self._thread.call_thread(self._check_coordinator)
            except ConsumerNotStarted:
                continue
            except KafkaError as error:
                if not (error.retriable or app.should_stop):
                    app.die(error)

    async def _check_coordinator(self) -> None:
        self._thread._ensure_consumer()._coordinator.check_errors()

    def verify_event_path(self, now: float, tp: Any) -> None:
        """Faust looks for streams that stand still, and there are none."""

    async def _read(self, intake: FaustIntake, runner: Runner, fetcher: Any) -> None:
        sought = None
        while not (self._stopped.is_set() or fetcher._stopped.is_set()):
            reading = intake.reading
            if reading is not sought and reading is not None:
                sought = reading if await self._has_sought(reading.seeks) else None
            if reading is None or reading is not sought or not (wanted := reading.wanted()):
                await asyncio.sleep(_PARKED_SECONDS)
                continue
            try:
                fetched, heard_ms = await self._thread.call_thread(self._fetch_from, wanted)
            except OffsetOutOfRangeError as error:
                await self._read_on(intake, runner, error.args[0])
                continue
            if intake.reading is reading:
                for some in fetched.values():
                    for record in intake.records(some):
                        runner.push(record)
                reading.heard_ms |= heard_ms

    async def _read_on(
        self, intake: FaustIntake, runner: Runner, out_of_range: Mapping[KafkaPartition, int]
    ) -> None:
        reading = intake.reading
        for place, offset in out_of_range.items():
            begin = await runner.out_of_range(intake.logical(place), offset)
            if intake.reading is reading:
                await self._has_sought({place: begin})

    async def _has_sought(self, seeks: Mapping[KafkaPartition, int]) -> bool:
        """R2: to our positions, wherever the group's offsets are."""
        try:
            await self._thread.call_thread(self._go_to, seeks)
        except IllegalStateError:  # not ours any more: we are about to be told
            return False
        return True

    async def _go_to(self, seeks: Mapping[KafkaPartition, int]) -> None:
        consumer = self._thread._ensure_consumer()
        for place, offset in seeks.items():
            consumer.seek(place, offset)
        consumer._fetcher._client.seek()

    async def _fetch_from(
        self, wanted: Collection[KafkaPartition]
    ) -> tuple[Mapping[KafkaPartition, Sequence[Any]], Mapping[KafkaPartition, int]]:
        """Records, and when each place had no more than these and what was fetched before."""
        consumer = self._thread._ensure_consumer()
        if consumer._closed:
            raise ConsumerStoppedError
        # Before, or an answer to whoever asks for what follows these would count before they are pushed.
        heard_ms = dict(consumer._fetcher._client.heard_ms)
        # As its own `getmany` does, which looks each place up in a tuple.
        with consumer._subscription.fetch_context():
            fetched: Mapping[
                KafkaPartition, Sequence[Any]
            ] = await consumer._fetcher.fetched_records(
                wanted, _FETCH_SECONDS, max_records=consumer._max_poll_records
            )
        return fetched, heard_ms

    async def commit_for_lag(self, offsets: Mapping[KafkaPartition, int]) -> None:
        """The group's offsets, for lag tools only. Raises what the broker says; Faust's own would
        end the app."""
        await self._thread.call_thread(self._commit_for_lag, offsets)

    async def _commit_for_lag(self, offsets: Mapping[KafkaPartition, int]) -> None:
        await self._thread._ensure_consumer().commit(dict(offsets))

    async def fetched(self, places: Collection[KafkaPartition]) -> dict[KafkaPartition, int]:
        """Up to where each place has been fetched; what was, is pushed before this returns. Those
        that are not known yet are left out."""
        found: dict[KafkaPartition, int] = await self._thread.call_thread(self._fetched, places)
        return found

    async def _fetched(self, places: Collection[KafkaPartition]) -> dict[KafkaPartition, int]:
        consumer: Any = self._thread._ensure_consumer()
        assignment = consumer._subscription.subscription.assignment
        states = {place: assignment.state_value(place) for place in places}
        return {
            place: state.position
            for place, state in states.items()
            if state is not None and state.has_valid_position
        }


class _NoProducer(driver.Producer):
    """Faust writes nothing here, so it opens no connection to write with."""

    async def on_start(self) -> None: ...

    async def on_stop(self) -> None: ...

    async def flush(self) -> None: ...


class Transport(driver.Transport):
    """Faust's way to Kafka, with our consumer and no producer."""

    Consumer = _Consumer
    Producer = _NoProducer
