"""The real topology in the simulator: the flow that workers run, around it broker, disks and
providers in memory."""

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
from policies.clock import Clock
from policies.legal import LegalWindows
from policies.rules import Category, NotificationType, RateLimit, Rules
from policies.stops import StopList
from schemas import topics
from schemas.delivery import CHANNELS, Channel
from streams import topology
from streams.engine.runner import RunnerSettings
from streams.plan import PlannedRole
from streams.stop_feed import CALLED_OFF, STOPS, StopFeed
from streams.tails import Tails
from streams.topology import DECIDE, ROLES, FlowSettings, Outlet
from tables.state import State
from tests.simulation.carrier import Carrier, CarrierSender
from tests.simulation.clocks import StoryClock
from tests.simulation.loop import pause
from tests.simulation.process import Plan, Process
from tests.simulation.resting import BUSY, NEVER, waits_until
from tests.simulation.spans import USUAL, Spans
from tests.simulation.tailing import MemoryTailReader
from tests.simulation.world import Role, World

SECURITY = Category("security", mandatory=True, in_doubt="resend", lane="critical")
TRANSACTIONAL = Category("transactional", quiet_hours=True)
MARKETING = Category("marketing", lane="bulk", quiet_hours=True, daily_limit={"email": 2})
PATIENT = Category("patient", lane="bulk", daily_limit={"email": 1}, over_limit="defer")
LAWFUL = Category("lawful", lane="bulk", legal_windows=True)
BY_LAW = "deal"
"""A type that few stories have."""
RULES = Rules(
    {
        kind.name: kind
        for kind in (
            NotificationType("code", SECURITY, ("sms",), ttl_seconds=600),
            NotificationType("alarm", SECURITY, ("push",), ("email",), ttl_seconds=3600),
            NotificationType("invoice", TRANSACTIONAL, ("email", "push"), ("sms",)),
            NotificationType("offer", MARKETING, ("email", "push", "in_app")),
            NotificationType("digest", PATIENT, ("email",), ttl_seconds=600),
            NotificationType("note", TRANSACTIONAL, ("in_app",)),
            NotificationType("buzz", TRANSACTIONAL, ("push",)),
            NotificationType("ping", MARKETING, ("push", "in_app")),
            NotificationType("bill", TRANSACTIONAL, ("sms",), ("email",)),
            NotificationType(BY_LAW, LAWFUL, ("sms",)),
        )
    },
    per_user={"sms": RateLimit(4, 3600)},
    # So short that stories see its end.
    dedup_window_seconds=5,
    # It is 15:06:40 by UTC, and 17:06:40 in Berlin.
    legal_windows=LegalWindows(by_zone={"UTC": "08:00-15:07", "Europe/Berlin": "17:08-21:00"}),
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


_SOON_MS = 1_500
"""What comes due sooner is waited for: it may wait for a rate's tokens, and for these time must pass."""
_LOOK_AGAIN_SECONDS = 0.2
"""While something goes on."""
_LOOK_TWICE_SECONDS = 0.02


class RealWorld(World):
    """A world whose providers are one carrier."""

    partitions = PARTITIONS

    def __init__(
        self,
        *,
        seed: int,
        slots: Mapping[str, int] | None = None,
        process_class: type[Process] = Process,
        spans: Spans = USUAL,
        settings: RunnerSettings | None = None,
    ) -> None:
        """`slots`: how many of each role; a channel that is not named is not there. Without it,
        two of each."""
        wanted = slots or dict.fromkeys(ROLES, 2)
        roles = [Role(DECIDE, wanted[DECIDE], _deciding)]
        roles += [
            Role(name, wanted[name], partial(_sending, name)) for name in CHANNELS if name in wanted
        ]
        super().__init__(seed=seed, roles=roles, process_class=process_class, spans=spans)
        self.settings = settings or self.settings
        self.carrier = Carrier(
            loop=self.loop,
            randomness=self.random,
            is_zombie=self.is_zombie,
            is_robbed=self.is_robbed,
            timeout_seconds=spans.call,
        )
        self.misconfigured: list[tuple[str, str]] = []
        self.tail_delay_seconds = 0.0
        """How much later than others the tails read."""
        self.states: Mapping[str, list[State]] = {}
        """What each role knew when the world last came to rest, a partition each."""
        self.withdrawn: set[int] = set()
        """Intents whose records are gone, with the topic they were in."""
        self.rests_ms: list[int] = []
        """When everything said before had been acted upon."""

    async def rest(self, limit_seconds: float = 300.0, *, hurries: bool = False) -> None:
        """Wait until everything said so far has been acted upon. In a hurry, the clocks are set
        forward whenever nothing happens before the next row comes due."""
        until = self.loop.time() + limit_seconds
        appended, before = -1, BUSY
        while True:
            assert self.loop.time() < until, f"seed {self.seed}: no rest in {limit_seconds} s"
            next_ms, now_ms, wait_seconds = BUSY, self.loop.now_ms(), _LOOK_AGAIN_SECONDS
            # A zombie would sleep through what is skipped, and call long after it was told not to.
            if appended == self.broker.appended and not self.has_zombies:
                next_ms = waits_until(self.processes, self.roles, PARTITIONS, self.broker, now_ms)
            if next_ms != BUSY and next_ms == before:  # twice: something may have been staged
                if next_ms == NEVER:
                    break
                if hurries and next_ms > now_ms + _SOON_MS:
                    self.loop.set_clocks(by_ms=(next_ms - now_ms) * self.random.uniform(1.0, 1.2))
                else:
                    wait_seconds = (next_ms - now_ms) / 1000
            elif next_ms != BUSY:
                wait_seconds = _LOOK_TWICE_SECONDS
            appended, before = self.broker.appended, next_ms
            await pause(min(wait_seconds, _LOOK_AGAIN_SECONDS))
        states: defaultdict[str, list[State]] = defaultdict(list)
        for process in self.processes:
            states[process.role] += [each.state for each in process.runner.partitions]
        self.states = states
        self.rests_ms.append(self.loop.now_ms())


def _deciding(world: RealWorld, clock: StoryClock) -> Plan:
    stops = StopList(RULES)
    flow = topology.decide(FLOW, stops)
    return PlannedRole(flow, stops=stops, tails=_tails(world, stops, CALLED_OFF), clock=clock)


def _sending(channel: Channel, world: RealWorld, clock: StoryClock) -> Plan:
    stops = StopList(RULES)
    sender = _sender(channel, world, clock)
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
        topology.send(channel, FLOW, stops, outlet, clock),
        stops=stops,
        tails=_tails(world, stops, STOPS),
        clock=clock,
        sender=sender,
        pace=pace,
    )


def _sender(channel: Channel, world: RealWorld, clock: Clock) -> Sender | None:
    if channel == "in_app":
        return None
    size = 20 if channel == "email" else 1
    return Failover(
        [
            Circuit(
                CarrierSender(world.carrier, channel=channel, provider=provider, max_batch=size),
                breaker=Breaker(BreakerSettings()),
                clock=clock,
            )
            for provider in (f"{channel}-one", f"{channel}-two")
        ]
    )


def _tails(world: RealWorld, stops: StopList, followed: Sequence[str]) -> Tails:
    return Tails(
        reader=MemoryTailReader(
            topics=followed,
            partitions=PARTITIONS,
            broker=world.broker,
            delay_seconds=world.tail_delay_seconds,
        ),
        feed=StopFeed(stops, address_key=FLOW.address_key, partitions=PARTITIONS),
        now_seconds=world.loop.time,
        max_age_seconds=world.spans.tail_age,
        ask_seconds=world.spans.tail_ask,
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
