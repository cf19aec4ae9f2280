"""Fetches that name what has changed since the last one, and no more (KIP-227).

aiokafka names every partition in every fetch, 128 for `decide`, and the broker answers about each of
them, though mostly a few have anything: half a millisecond of Python, a hundred times a second. A
broker remembers what the last fetch named, when it is asked to.

An answer tells of what it leaves out, too: there was nothing more when it was asked for. Whoever decides
needs to know, or what nobody could fetch for minutes would be taken for what nobody has said.
"""

import copy
from collections.abc import Iterable
from functools import partial
from typing import Any

from aiokafka.errors import FetchSessionIdNotFound, InvalidFetchSessionEpoch, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import TopicPartition as KafkaPartition

from policies.clock import Clock

_FIRST_VERSION = 7
_NO_SESSION = 0
_LAST_EPOCH = 2**31 - 1
_LOST = (FetchSessionIdNotFound, InvalidFetchSessionEpoch)
_UNKNOWN = 2**63 - 1
"""An end that no offset reaches."""

Place = tuple[int, int]
"""Offset and most bytes, of one partition."""


class SessionClient:
    """A fetcher's way to the brokers: an `AIOKafkaClient` whose fetches are told as changes.

    One fetch a node is under way at a time, which a fetcher sees to.
    """

    def __init__(self, client: Any, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._sessions: dict[int, _Session] = {}
        self.heard_ms: dict[KafkaPartition, int] = {}
        """When each place was last asked for more and had none; replaced, not emptied, so that an answer
        that is on its way counts for what it was asked for."""

    def seek(self) -> None:
        """Some place is read from elsewhere: what was heard, or is on its way, tells nothing of that."""
        self.heard_ms = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node: int, request: Any, **options: Any) -> Any:
        if not isinstance(request, FetchRequest):
            return await self._client.send(node, request, **options)
        session = self._sessions.setdefault(node, _Session())
        ask = partial(session.ask, self._client, node, request, self._clock, self.heard_ms)
        answer = await ask()
        return answer if answer is not None else await ask()


class _Session:
    """What one broker remembers of our fetches."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._id = _NO_SESSION
        self._epoch = 0
        self._named: dict[KafkaPartition, Place] = {}
        self._ends: dict[KafkaPartition, int] = {}
        """Of what was named, as last told: a broker tells again when one moves, and after an error."""

    async def ask(
        self,
        client: Any,
        node: int,
        request: FetchRequest,
        clock: Clock,
        heard_ms: dict[KafkaPartition, int],
    ) -> Any:
        """The answer; None when the broker has lost the session, which the next call begins anew: it
        keeps a thousand, those that are used, and none when it starts. Notes in `heard_ms` of which
        places it had no more."""
        wanted = {
            KafkaPartition(topic, partition): (offset, most)
            for topic, partitions in request.topics
            for partition, offset, most in partitions
        }
        changes = _Changes(request, self._id, self._epoch, wanted, self._named)
        asked_ms = clock.now_ms()
        try:
            answer = await client.send(node, changes)
        except BaseException:  # whether the broker has heard it, nobody knows
            self._forget()
            raise
        knows_sessions = answer.API_VERSION >= _FIRST_VERSION
        if knows_sessions and answer.error_code:
            self._forget()
            return None if for_code(answer.error_code) in _LOST else answer
        if knows_sessions and answer.session_id != _NO_SESSION:
            self._id, self._named = answer.session_id, wanted
            self._epoch = self._epoch + 1 if self._epoch < _LAST_EPOCH else 1
        else:
            self._forget()
        if not answer.throttle_time_ms:  # it would be empty, whatever there is
            heard_ms.update(dict.fromkeys(self._exhausted(answer, wanted), asked_ms))
        return answer

    def _exhausted(self, answer: Any, wanted: dict[KafkaPartition, Place]) -> list[KafkaPartition]:
        """Which places had nothing from where they were asked for. One that an answer had no room for is
        empty or left out as well, and so is one where an open transaction hides what there is."""
        told = {
            KafkaPartition(topic, partition): _UNKNOWN if error else end
            for topic, partitions in answer.topics
            for partition, error, end, *_ in partitions
        }
        ends = self._ends | told
        self._ends = {place: ends.get(place, _UNKNOWN) for place in wanted}
        return [place for place, (offset, _) in wanted.items() if offset >= self._ends[place]]


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
