"""Fetches that name what has changed since the last one, and no more (KIP-227).

aiokafka names every partition in every fetch, 128 for `decide`, and the broker answers about each of
them, though mostly a few have anything: half a millisecond of Python, a hundred times a second. A
broker remembers what the last fetch named, when it is asked to.
"""

import copy
from collections.abc import Iterable
from typing import Any

from aiokafka.errors import FetchSessionIdNotFound, InvalidFetchSessionEpoch, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import TopicPartition as KafkaPartition

_FIRST_VERSION = 7
_NO_SESSION = 0
_LAST_EPOCH = 2**31 - 1
_LOST = (FetchSessionIdNotFound, InvalidFetchSessionEpoch)

Place = tuple[int, int]
"""Offset and most bytes, of one partition."""


class SessionClient:
    """A fetcher's way to the brokers: an `AIOKafkaClient` whose fetches are told as changes.

    One fetch a node is under way at a time, which a fetcher sees to.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._sessions: dict[int, _Session] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node: int, request: Any, **options: Any) -> Any:
        if not isinstance(request, FetchRequest):
            return await self._client.send(node, request, **options)
        session = self._sessions.setdefault(node, _Session())
        answer = await session.ask(self._client, node, request)
        if answer is None:
            answer = await session.ask(self._client, node, request)
        return answer


class _Session:
    """What one broker remembers of our fetches."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._id = _NO_SESSION
        self._epoch = 0
        self._named: dict[KafkaPartition, Place] = {}

    async def ask(self, client: Any, node: int, request: FetchRequest) -> Any:
        """The answer; None when the broker has lost the session, which the next call begins anew: it
        keeps a thousand, those that are used, and none when it starts."""
        wanted = {
            KafkaPartition(topic, partition): (offset, most)
            for topic, partitions in request.topics
            for partition, offset, most in partitions
        }
        changes = _Changes(request, self._id, self._epoch, wanted, self._named)
        try:
            answer = await client.send(node, changes)
        except BaseException:  # whether the broker has heard it, nobody knows
            self._forget()
            raise
        if answer.API_VERSION < _FIRST_VERSION:
            return answer
        if answer.error_code or answer.session_id == _NO_SESSION:
            self._forget()
            return None if for_code(answer.error_code) in _LOST else answer
        self._id, self._named = answer.session_id, wanted
        self._epoch = self._epoch + 1 if self._epoch < _LAST_EPOCH else 1
        return answer


class _Changes:
    """A fetch as what is new in it; in full to a broker that knows no sessions."""

    def __init__(
        self,
        request: FetchRequest,
        session_id: int,
        epoch: int,
        wanted: dict[KafkaPartition, Place],
        named: dict[KafkaPartition, Place],
    ) -> None:
        self._request = request
        self._session = session_id, epoch
        self._new = [
            (place.topic, (place.partition, *at))
            for place, at in wanted.items()
            if named.get(place) != at
        ]
        self._gone = [(place.topic, place.partition) for place in named.keys() - wanted.keys()]

    def prepare(self, versions: dict[int, tuple[int, int]]) -> Any:
        request = copy.copy(self._request)
        request._topics = _by_topic(self._new)
        struct: Any = request.prepare(versions)
        if struct.API_VERSION < _FIRST_VERSION:
            return self._request.prepare(versions)
        struct.session_id, struct.session_epoch = self._session
        struct.forgotten_topics_data = _by_topic(self._gone)
        return struct


def _by_topic(pairs: Iterable[tuple[str, Any]]) -> list[tuple[str, list[Any]]]:
    topics: dict[str, list[Any]] = {}
    for topic, each in pairs:
        topics.setdefault(topic, []).append(each)
    return list(topics.items())
