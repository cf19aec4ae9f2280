"""Changes to aiokafka 0.14.0: for a broker that goes away and comes back, and for its compression.

Each names the defect; `tests/integration/streams/test_kafka_patches.py` fails when an upgrade
makes one wrong or needless.
"""

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import Any

from aiokafka import codec
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import KafkaConnectionError, KafkaError, NodeNotReadyError, for_code
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.group import JoinGroupRequest, SyncGroupRequest
from aiokafka.record._crecords import default_records

_RECONNECT_SECONDS = 0.25
_ASKED_AT_ONCE = 3


def take_a_reset_for_a_broken_connection() -> None:
    """A write to a connection that was just reset raises uvloop's `RuntimeError`, which aiokafka
    does not expect (its issue 1038). The task that refreshes metadata dies of it in silence, and
    whoever waits for metadata, such as a producer with a batch to resend, waits for ever."""
    original = AIOKafkaConnection.send

    def send(self: Any, *args: Any, **options: Any) -> Any:
        try:
            return original(self, *args, **options)
        except KafkaError:  # which is a RuntimeError, too
            raise
        except RuntimeError as error:
            self.close(reason=CloseReason.CONNECTION_BROKEN, exc=error)
            raise KafkaConnectionError(f"Connection at {self.host}:{self.port} reset") from error

    AIOKafkaConnection.send = send


def wait_between_connects() -> None:
    """aiokafka has no reconnect back-off: while the broker is away, every producer of every
    partition tries to connect a hundred times a second."""
    original = AIOKafkaClient._get_conn

    async def _get_conn(self: Any, *args: Any, **options: Any) -> Any:
        connection = await original(self, *args, **options)
        if connection is None:
            await asyncio.sleep(_RECONNECT_SECONDS)
        return connection

    AIOKafkaClient._get_conn = _get_conn


class FetchingEnded(RuntimeError):
    """Raised when a consumer's fetcher has died: nothing would be read any more."""


def tell_of_a_dead_fetcher() -> None:
    """The task that fetches for a consumer dies of whatever it does not expect, and nobody hears of
    it: reading goes on to return nothing, as if nothing were there."""
    original = Fetcher.fetched_records

    async def fetched_records(self: Any, *args: Any, **options: Any) -> Any:
        fetching = self._fetch_task
        if fetching.done() and not self._closed:
            cause = None if fetching.cancelled() else fetching.exception()
            raise FetchingEnded("a consumer reads nothing any more") from cause
        return await original(self, *args, **options)

    Fetcher.fetched_records = fetched_records


def tell_of_dead_metadata(die: Callable[[BaseException], None]) -> None:
    """The task that refreshes a client's metadata dies of whatever it does not expect, such as a
    thread that cannot be started to authenticate with, or memory that has run out. Nobody hears of
    it, and whoever waits for metadata waits for ever, with good heartbeats.

    `die` is called in the client's thread.
    """
    original = AIOKafkaClient._md_synchronizer

    async def _md_synchronizer(self: Any) -> None:
        try:
            await original(self)
        except Exception as error:
            die(error)
            raise

    AIOKafkaClient._md_synchronizer = _md_synchronizer


def wait_for_rebalances(seconds: float) -> None:
    """aiokafka gives a join no longer than any request, though it is answered when all members
    have drained: one that gives up, and joins anew, starts the next rebalance."""
    original = AIOKafkaConnection.send

    def send(self: Any, request: Any, *args: Any, **options: Any) -> Any:
        usual = self._request_timeout
        if isinstance(request, JoinGroupRequest | SyncGroupRequest):
            self._request_timeout = seconds
        try:
            return original(self, request, *args, **options)
        finally:
            self._request_timeout = usual

    AIOKafkaConnection.send = send


def ask_several_for_a_coordinator() -> None:
    """aiokafka asks one broker where a coordinator is. If that one hangs, as the coordinator of before
    may, the answer is a whole request's time late, and the heartbeat that waits for it too late for
    the session."""

    async def coordinator_lookup(self: Any, kind: int, key: str) -> int:
        request = FindCoordinatorRequest(key, kind)
        failure: KafkaError = NodeNotReadyError("no broker is known yet")
        nodes = [broker.nodeId for broker in self.cluster.brokers()]
        some = random.sample(nodes, min(len(nodes), _ASKED_AT_ONCE))
        asking = [asyncio.ensure_future(self.send(node, request)) for node in some]
        for task in asking:
            task.add_done_callback(_hear)  # who is late need not be waited for
        for each in asyncio.as_completed(asking):
            try:
                answer = await each
            except KafkaError as error:
                failure = error
                continue
            if answer.error_code:
                raise for_code(answer.error_code)()
            coordinator: int = answer.coordinator_id
            return coordinator
        raise failure

    AIOKafkaClient.coordinator_lookup = coordinator_lookup


def _hear(task: "asyncio.Future[Any]") -> None:
    if not task.cancelled():
        task.exception()


def compress_quickly() -> None:
    """aiokafka takes zstd's level 3 and no other: half again the time of level 1, and receipts do not
    become smaller by it."""
    default_records.zstd_encode = partial(codec.zstd_encode, level=1)
