"""The only broker: killed, restarted, hung, away. What was acknowledged is kept all the same."""

import time
from collections.abc import Collection
from typing import ClassVar

from proof.faults.base import Fault, Field
from proof.load.plan import LoadPlan
from streams.embedded_kafka import EmbeddedKafka
from streams.worker import EXIT_LOST

AWAY_SECONDS = 600.0
_LAST_SECONDS = 20.0
"""Of the load, for which the broker is back."""


class BrokerFault(Fault):
    stop_ms = 15_000
    exits: ClassVar[Collection[int]] = (EXIT_LOST,)

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=35.0)


class BrokerKilled(BrokerFault):
    name = "broker-killed"
    does = "kill -9 of the broker, started again within seconds"
    expects = "nothing lost that was acknowledged, nothing in doubt"

    async def strike(self, field: Field) -> None:
        while await field.wait(3.0, 7.0):
            await field.stage.note_blow("broker", "crash")
            _broker(field).kill()
            await field.wait(0.5, 4.0)
            _broker(field).start()


class BrokerRestarted(BrokerFault):
    name = "broker-restarted"
    does = "a clean stop of the broker, and a start"
    expects = "as broker-killed"

    async def strike(self, field: Field) -> None:
        while await field.wait(3.0, 7.0):
            await field.stage.note_blow("broker", "restart")
            _broker(field).stop()
            _broker(field).start()


class BrokerHung(BrokerFault):
    name = "broker-hung"
    does = "SIGSTOP of the broker for 4 to 30 seconds, mostly longer than a session, then SIGCONT"
    expects = "in doubt only calls that were open when it fell silent, told"
    rounds = 3

    def plan(self, seed: int, first: int) -> LoadPlan:
        return LoadPlan(seed=seed, first=first, seconds=60.0)

    async def strike(self, field: Field) -> None:
        while await field.wait(3.0, 6.0):
            await field.stage.note_blow("broker", "suspend")
            _broker(field).pause()
            seconds = field.random.choice((4.0, 8.0, 12.0, 30.0))
            await field.wait(seconds, seconds)
            _broker(field).resume()


class BrokerAway(BrokerFault):
    name = "broker-away"
    does = "kill -9 of the broker, which is away for ten minutes while producers go on asking"
    expects = "as broker-killed; everything goes on by itself"
    rounds = 1
    lag_ms = 700_000

    def plan(self, seed: int, first: int) -> LoadPlan:
        seconds = AWAY_SECONDS + _LAST_SECONDS + 8.0
        return LoadPlan(seed=seed, first=first, seconds=seconds, rate=4.0)

    async def strike(self, field: Field) -> None:
        """In a round of another length it is away for as much less or more."""
        until = time.monotonic() + field.plan.seconds - _LAST_SECONDS
        await field.wait(5.0, 8.0)
        await field.stage.note_blow("broker", "crash")
        _broker(field).kill()
        died_at = time.monotonic()
        await field.wait(until - died_at, until - died_at)
        field.notes.append(f"away for {time.monotonic() - died_at:.0f} s")
        _broker(field).start()


def _broker(field: Field) -> EmbeddedKafka:
    kafka = field.stage.kafka
    assert isinstance(kafka, EmbeddedKafka), "these faults strike the only broker that there is"
    return kafka
