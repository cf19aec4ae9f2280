"""The real topology in the simulator: the flow that workers run, around it broker, disks and
providers in memory."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

from agents.pace import Pace, SenderPace, WorkerPace
from channels.base import Sender
from channels.circuit import Circuit
from channels.failover import Failover
from channels.rendering import Rendering
from channels.templates import Templates
from policies.breaker import Breaker, BreakerSettings
from policies.rules import Category, NotificationType, RateLimit, Rules
from policies.stops import StopList
from schemas import topics
from schemas.delivery import CHANNELS, Channel
from schemas.kafka import TopicPartition
from streams import topology
from streams.engine.partition import Partition
from streams.engine.runner import RunnerSettings
from streams.plan import PlannedRole
from streams.stop_feed import CALLED_OFF, STOPS, StopFeed
from streams.tails import Tails
from streams.topology import DECIDE, FlowSettings, Outlet
from tables import broadcasts, parked, send_schedule, waiting
from tables.state import Kind, State
from tests.simulation.carrier import Carrier, CarrierSender
from tests.simulation.process import Plan, Process
from tests.simulation.tailing import MemoryTailReader
from tests.simulation.world import Role, World

SECURITY = Category("security", mandatory=True, in_doubt="resend", lane="critical")
TRANSACTIONAL = Category("transactional", quiet_hours=True)
MARKETING = Category("marketing", lane="bulk", quiet_hours=True, daily_limit={"email": 2})
PATIENT = Category("patient", lane="bulk", daily_limit={"email": 1}, over_limit="defer")
RULES = Rules(
    {
        kind.name: kind
        for kind in (
            NotificationType("code", SECURITY, ("sms",), ttl_seconds=600),
            NotificationType("alarm", SECURITY, ("push",), ("email",), ttl_seconds=3600),
            NotificationType("invoice", TRANSACTIONAL, ("email", "push"), ("sms",)),
            NotificationType("offer", MARKETING, ("email", "push", "in_app")),
            NotificationType("digest", PATIENT, ("email",), ttl_seconds=600),
        )
    },
    per_user={"sms": RateLimit(4, 3600)},
)
SMS_SENDERS = {"+15550100": RateLimit(5, 1.0), "+15550101": RateLimit(5, 1.0)}
EMAIL_RATE = RateLimit(40, 1.0)
PARTITIONS = 2
FLOW = FlowSettings(
    rules=RULES,
    partitions=PARTITIONS,
    address_key=b"simulated",
    lanes={topic: lane for lane, topic in topics.REQUESTED.items()},
    sms_senders=tuple(SMS_SENDERS),
)
_PARTS = {
    "email": ("subject", "text"), "push": ("title", "body"), "sms": ("text",),
    "in_app": ("title", "body"),
}  # fmt: skip
_FAR_MS = 3_600_000
"""Rows that come due later than this wait for nothing that the simulation is about."""


class RealWorld(World):
    """A world whose providers are one carrier."""

    partitions = PARTITIONS
    settings = RunnerSettings(max_open_calls=8, drain_seconds=11.0)

    def __init__(
        self, *, seed: int, slots: int = 2, process_class: type[Process] = Process
    ) -> None:
        super().__init__(seed=seed, roles=_roles(slots), process_class=process_class)
        self.carrier = Carrier(loop=self.loop, randomness=self.random, is_zombie=self._is_zombie)
        self.misconfigured: list[tuple[str, str]] = []
        self.states: Mapping[str, list[State]] = {}
        """What each role knew when the world last came to rest, a partition each."""
        self.withdrawn: set[int] = set()
        """Intents whose records are gone, with the topic they were in."""
        self.rests_ms: list[int] = []
        """When everything said before had been acted upon."""
        self._rested = 0

    async def rest(self, limit_seconds: float = 300.0) -> None:
        """Wait until everything said so far has been acted upon."""
        until = self.loop.time() + limit_seconds
        self._rested = 0
        while not self.has_come_to_rest():
            assert self.loop.time() < until, f"seed {self.seed}: no rest in {limit_seconds} s"
            await asyncio.sleep(0.5)
        self._rested = 0
        self.rests_ms.append(self.loop.now_ms())

    def has_come_to_rest(self) -> bool:
        """Everything read and nothing waiting, three times in a row: a commit may be under way."""
        self._rested = self._rested + 1 if self._rests() else 0
        if self._rested < 3:
            return False
        states: defaultdict[str, list[State]] = defaultdict(list)
        for process in self.processes:
            held = [partition.state for partition in process.runner.partitions]
            states[process.role] += held
        self.states = states
        return True

    def _rests(self) -> bool:
        held: dict[str, list[int]] = {name: [] for name in self._roles}
        for process in self.processes:
            if process.domain.is_suspended:
                return False
            for partition in process.runner.partitions:
                held[process.role].append(partition.number)
                if not self._is_idle(partition):
                    return False
        return all(sorted(numbers) == list(range(PARTITIONS)) for numbers in held.values())

    def _is_idle(self, partition: Partition) -> bool:
        for place, position in partition.positions.items():
            if (position.next_offset or 0) < self._end_of(place):
                return False
        state, until_ms = partition.state, self.loop.now_ms() + _FAR_MS
        tables = (waiting.SCHEDULE, broadcasts.PROGRESS, *send_schedule.SCHEDULES.values())
        if any(table.due(state, until_ms, 1) for table in tables):
            return False
        return not state.scan(Kind.DURABLE, parked.PREFIX, bytes([parked.PREFIX[0] + 1]), 1)

    def _end_of(self, place: TopicPartition) -> int:
        """Past the last record that a reader is to be given."""
        entries = self.broker.log(place).entries
        for offset in range(len(entries) - 1, -1, -1):
            entry = entries[offset]
            if entry.record is not None and (entry.txn is None or entry.txn.state != "aborted"):
                return offset + 1
        return 0


def _roles(slots: int) -> Sequence[Role]:
    return [
        Role(DECIDE, slots, _deciding),
        *(Role(channel, slots, partial(_sending, channel)) for channel in CHANNELS),
    ]


def _deciding(world: World) -> Plan:
    stops = StopList(RULES)
    flow = topology.decide(FLOW, stops)
    return PlannedRole(flow, stops=stops, tails=_tails(world, stops, CALLED_OFF), clock=world.loop)


def _sending(channel: Channel, world: World) -> Plan:
    assert isinstance(world, RealWorld)
    stops = StopList(RULES)
    sender = _sender(channel, world)
    pace: Pace | None = None
    if channel == "sms":
        pace = SenderPace(limits=SMS_SENDERS)
    elif sender is not None:
        limit = EMAIL_RATE if channel == "email" else None
        pace = WorkerPace(limit=limit, partitions=PARTITIONS)
    outlet = Outlet(
        rendering=_rendering(),
        on_misconfigured=lambda *said: world.misconfigured.append(said),
        sender=sender,
        pace=pace,
    )
    return PlannedRole(
        topology.send(channel, FLOW, stops, outlet, world.loop),
        stops=stops,
        tails=_tails(world, stops, STOPS),
        clock=world.loop,
        sender=sender,
        pace=pace,
    )


def _sender(channel: Channel, world: RealWorld) -> Sender | None:
    if channel == "in_app":
        return None
    size = 20 if channel == "email" else 1
    return Failover(
        [
            Circuit(
                CarrierSender(world.carrier, channel=channel, provider=provider, max_batch=size),
                breaker=Breaker(BreakerSettings()),
                clock=world.loop,
            )
            for provider in (f"{channel}-one", f"{channel}-two")
        ]
    )


def _tails(world: World, stops: StopList, followed: Sequence[str]) -> Tails:
    return Tails(
        reader=MemoryTailReader(topics=followed, partitions=PARTITIONS, broker=world.broker),
        feed=StopFeed(stops, address_key=FLOW.address_key),
        now_seconds=world.loop.time,
        max_age_seconds=5.0,
    )


@cache
def _rendering() -> Rendering:
    with TemporaryDirectory() as folder:
        for kind in RULES.types:
            for channel, parts in _PARTS.items():
                for part in parts:
                    path = Path(folder, kind, "default", f"{channel}.{part}.j2")
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text("{{ data.number }}")
        return Rendering(Templates(Path(folder)))
