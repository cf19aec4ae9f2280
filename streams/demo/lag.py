"""How many records the roles have not handled yet, from the groups' offsets."""

from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient

from streams.names import Names
from streams.topology import ROLES


class Lag:
    """Asks the cluster; the groups' offsets are written once a second, so it is that much behind."""

    def __init__(self, *, connection: Mapping[str, Any], names: Names) -> None:
        self._names = names
        self._admin = AIOKafkaAdminClient(**connection)
        self._consumer = AIOKafkaConsumer(**connection)

    async def start(self) -> None:
        await self._admin.start()
        await self._consumer.start()

    async def close(self) -> None:
        await self._consumer.stop()
        await self._admin.close()

    async def waiting(self) -> int:
        """Over all roles; sources that nothing was ever read of do not count."""
        total = 0
        for role in ROLES:
            done = await self._admin.list_consumer_group_offsets(self._names.group(role))
            ends = await self._consumer.end_offsets(list(done))
            total += sum(max(0, ends[place] - at.offset) for place, at in done.items())
        return total
