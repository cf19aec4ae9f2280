"""Fetching one partition's batches from its leader, by offset.

aiokafka's consumer makes an object of each record, and of each object another: that costs more than
all that becomes of the record in a restore. Connections and metadata are aiokafka's here, too.
"""

from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, LeaderNotAvailableError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import TopicPartition as KafkaPartition

from streams.committed import Fetched

_FETCH_BYTES = 1024 * 1024
"""A first batch that is larger comes whole. What is done with one answer keeps everybody else of the
process waiting."""
_WAIT_MS = 100
"""The leader keeps a request for so long when it has nothing that is committed."""
_READ_COMMITTED = 1
_WITH_PREFERRED_REPLICA = 11
"""The version of the answer that names one, before the batches."""


class PartitionFetcher:
    """Of one partition."""

    def __init__(
        self, client: AIOKafkaClient, partition: KafkaPartition, *, fetch_bytes: int = _FETCH_BYTES
    ) -> None:
        """`client` is started, and somebody else's to close."""
        self.partition = partition
        self._client = client
        self._fetch_bytes = fetch_bytes

    async def fetch(self, position: int) -> Fetched:
        """What is committed from `position` on, as far as it goes into one answer; perhaps nothing,
        as in front of an open transaction.

        Raises:
            OffsetOutOfRangeError: the changelog does not hold `position` (any more).
            KafkaError: a retriable one passes, or another leader mends it: ask again.
        """
        try:
            return await self._fetch(position)
        except KafkaError as error:
            if error.invalid_metadata:
                await self._client.force_metadata_update()
            raise

    async def _fetch(self, position: int) -> Fetched:
        topic, number = self.partition
        await self._client.add_topic(topic)
        leader = self._client.cluster.leader_for_partition(self.partition)
        if leader is None or leader < 0:
            raise LeaderNotAvailableError(self._named(position))
        places = [(topic, [(number, position, self._fetch_bytes)])]
        request = FetchRequest(_WAIT_MS, 1, self._fetch_bytes, _READ_COMMITTED, places)
        answer = await self._client.send(leader, request)
        # An error of the whole request is told by newer versions only.
        self._refuse(getattr(answer, "error_code", 0), position)
        if not answer.topics:  # the broker slows us down, and says so by saying nothing
            return Fetched(position, b"", ())
        ((_, (told,)),) = answer.topics
        return self._fetched(position, told, answer.API_VERSION)

    def _fetched(self, position: int, told: tuple[Any, ...], version: int) -> Fetched:
        _, code, *_, aborted, batches = (
            told if version < _WITH_PREFERRED_REPLICA else (*told[:-2], told[-1])
        )
        self._refuse(code, position)
        return Fetched(position, batches or b"", aborted or ())

    def _refuse(self, code: int, position: int) -> None:
        if code:
            raise for_code(code)(self._named(position))

    def _named(self, position: int) -> str:
        return f"{self.partition.topic}:{self.partition.partition} at {position}"
