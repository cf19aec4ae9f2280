"""Topics on a cluster: created where missing, read for comparison, required by a worker's start."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.protocol.metadata import MetadataRequest

from streams.access import Access, access_of
from streams.config_errors import ConfigurationRefused
from streams.config_kafka import KafkaSettings
from streams.names import Names, few
from streams.patience import Patience
from streams.permissions import Missing, missing
from streams.reaching import Unreachable, reach
from streams.topic_check import Difference, Found, differences, lines
from streams.topics import Layout

_SETTLE_SECONDS = 30.0
_CREATE_TIMEOUT_MS = 60_000
"""Of a request that creates all topics of an installation, the largest that there is."""
_SETTLE_TURN_SECONDS = 0.1


class TopicAdmin:
    """The topics of one installation on one cluster; use it as `async with connected(...)`."""

    def __init__(self, client: AIOKafkaAdminClient, *, layout: Layout, names: Names) -> None:
        self._client = client
        self._layout = layout
        self._names = names

    async def create(self) -> list[str]:
        """Create what is missing and wait until it is there; returns the names.

        What exists is left as it is: `check` says how it differs.

        Raises:
            ConfigurationRefused: the cluster does not let us, in words of its own, or a broker
                does not get to know of them.
        """
        existing = set(await self._client.list_topics())
        missing = [
            topic
            for topic in self._layout.topics()
            if self._names.physical(topic.name) not in existing
        ]
        if not missing:
            return []
        answer = await self._client.create_topics(
            [
                NewTopic(
                    self._names.physical(topic.name),
                    self._layout.partitions,
                    self._layout.replication,
                    topic_configs=self._layout.settings_of(topic),
                )
                for topic in missing
            ]
        )
        created = _created(answer.topic_errors)
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                # The cluster tells nobody when its brokers have heard of them.
                while not set(created) <= await self._known_to_all():  # noqa: ASYNC110
                    await asyncio.sleep(_SETTLE_TURN_SECONDS)
        except TimeoutError:
            told = f"topics are not known to all brokers after {_SETTLE_SECONDS:.0f} s"
            raise ConfigurationRefused([f"{told}: see `postrider topics check`"]) from None
        return created

    async def check(self) -> list[Difference]:
        """Every difference from the catalogue, the gravest first."""
        return differences(self._layout, self._names, await self.read())

    async def refused(self, role: str, access: Access) -> list[Missing]:
        """What ACLs of the cluster do not let a role do."""
        return await missing(self._client, access, role=role, names=self._names)

    async def read(self) -> Mapping[str, Found]:
        """The installation's topics as the cluster has them."""
        described = await self._describe()
        settings = await self._settings(sorted(described)) if described else {}
        return {
            name: Found(partitions, replication, settings.get(name, {}))
            for name, (partitions, replication) in described.items()
        }

    async def _known_to_all(self) -> set[str]:
        """Topics that every broker knows which answers: whoever starts next may ask any of them."""
        brokers = [broker.nodeId for broker in self._client._client.cluster.brokers()]
        answers = await asyncio.gather(
            *(self._client._send_request(MetadataRequest(None), broker) for broker in brokers),
            return_exceptions=True,
        )
        known = [
            {name for _, name, _, partitions in answer.topics if partitions}
            for answer in answers
            if not isinstance(answer, BaseException)
        ]
        return set.intersection(*known) if known else set()

    async def _describe(self) -> dict[str, tuple[int, int]]:
        """Partitions and least number of copies of each topic of ours that is fully there."""
        wanted = {self._names.physical(topic.name) for topic in self._layout.topics()}
        return {
            each["topic"]: (
                len(each["partitions"]),
                min(len(partition["replicas"]) for partition in each["partitions"]),
            )
            for each in await self._client.describe_topics()
            if each["topic"] in wanted and each["partitions"]
        }

    async def _settings(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        answers = await self._client.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        )
        found: dict[str, dict[str, str]] = {}
        for answer in answers:
            for code, _, _, name, entries in answer.resources:
                if code:
                    raise for_code(code)(name)
                found[name] = {entry[0]: entry[1] for entry in entries}
        return found


def _created(answers: Sequence[Sequence[Any]]) -> list[str]:
    created: list[str] = []
    refused: defaultdict[str, list[str]] = defaultdict(list)
    for name, code, *told in answers:
        if code in (0, TopicAlreadyExistsError.errno):  # somebody else may do the same just now
            created.append(name)
        else:
            refused[(told and told[0]) or for_code(code).__name__].append(name)
    if refused:
        raise ConfigurationRefused(
            [f"the cluster refuses to create {few(each)}: {why}" for why, each in refused.items()]
        )
    return created


@contextlib.asynccontextmanager
async def connected(
    connection: Mapping[str, Any], *, layout: Layout, names: Names
) -> AsyncIterator[TopicAdmin]:
    """An open `TopicAdmin`.

    Raises:
        KafkaConnectionError: nobody answers.
    """
    patient = {**connection, "request_timeout_ms": _CREATE_TIMEOUT_MS}
    async with _connected(patient, layout=layout, names=names) as admin:
        yield admin


@contextlib.asynccontextmanager
async def _connected(
    connection: Mapping[str, Any], *, layout: Layout, names: Names
) -> AsyncIterator[TopicAdmin]:
    client = AIOKafkaAdminClient(**connection)
    try:
        await client.start()
        yield TopicAdmin(client, layout=layout, names=names)
    finally:
        await client.close()


async def require(
    kafka: KafkaSettings, *, role: str, layout: Layout, patience: Patience
) -> list[Difference]:
    """What a worker asks of the cluster before it starts; returns the differences it can bear.

    A cluster that is away is waited for.

    Raises:
        ConfigurationRefused: it cannot be reached as configured, its topics are not as the
            configuration says, or its ACLs do not let the role do its work.
    """
    access = access_of(role, layout.ingress)
    layout = replace(layout, only=access.topics)

    async def ask() -> tuple[list[Missing], list[Difference]]:
        await reach(kafka)
        async with _connected(kafka.connection(), layout=layout, names=kafka.names) as admin:
            refused = await admin.refused(role, access)
            return refused, [] if refused else await admin.check()

    try:
        refused, found = await patience.wait_for(ask)
    except Unreachable as error:
        raise ConfigurationRefused([str(error)]) from None
    except KafkaError as error:
        raise ConfigurationRefused([f"Kafka refuses us: {error!r}"]) from None
    user = kafka.shape.security.username
    reasons = [each.line(user) for each in refused]
    reasons += lines([difference for difference in found if difference.weight == "refused"])
    if reasons:
        raise ConfigurationRefused(reasons)
    return found
