"""`RolePlan`: a role's topology with the real things around it: senders, tails, rate limits."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from agents.pace import Pace, SenderPace, WorkerPace
from channels.base import Sender
from channels.catalogue import channel_sender
from channels.rendering import Rendering
from channels.settings import ProviderSettings
from channels.templates import Templates
from policies.breaker import BreakerSettings
from policies.clock import Clock, elapsed_ms
from policies.rules import RateLimit
from policies.stops import HORIZON_MS, StopList
from schemas.delivery import CHANNELS, Channel
from streams import topology
from streams.engine.ports import Lease
from streams.engine.routes import Topology
from streams.lease import CallPermit
from streams.metered import Metered
from streams.metrics import Metrics
from streams.names import Names
from streams.observer import WorkerObserver
from streams.patience import Patience
from streams.refusals import OnceAMinute
from streams.stop_feed import CALLED_OFF, STOPS, StopFeed
from streams.tail_reader import KafkaTailReader
from streams.tails import Tails
from streams.topology import DECIDE, FlowSettings, Outlet
from streams.watched_clock import ClockAskew, WatchedClock

log = logging.getLogger("postrider.plan")

_FORGET_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """How one channel leaves."""

    templates: Templates
    providers: tuple[tuple[str, ProviderSettings], ...] = ()
    """In order of preference; none for in-app."""
    breaker: BreakerSettings = field(default_factory=BreakerSettings)
    senders: Mapping[str, RateLimit] | None = None
    """SMS: the numbers that messages go out from, with what the carrier allows each."""


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """Everything a role's plan is made of."""

    role: str
    flow: FlowSettings
    names: Names
    connection: Mapping[str, Any]
    patience: Patience
    channel: ChannelSettings | None = None
    """None for the deciding role."""
    tail_max_age_seconds: float = 5.0
    """A tail that was not at its end for so long holds every call back."""


class PlannedRole:
    """A flow, and what lives beside it: the tails that feed its stops, its sender, its limits."""

    def __init__(
        self,
        flow: Topology,
        *,
        stops: StopList,
        tails: Tails,
        clock: WatchedClock,
        sender: Sender | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.topology = flow
        self._stops = stops
        self._tails = tails
        self._clock = clock
        self._sender = sender
        self._pace = pace
        self._forgetting: asyncio.Task[None] | None = None

    def permit(self, lease: Lease) -> Lease:
        return CallPermit(lease, self._tails)

    async def start(self, die: Callable[[BaseException], None]) -> None:
        if self._sender is not None:
            await self._sender.start()
        await self._tails.start(die)
        self._forgetting = asyncio.create_task(self._forget(die))

    def fenced(self, numbers: Collection[int]) -> None:
        """An earlier owner may have spent every token up to now: they come back while we restore."""
        if self._pace is not None:
            self._pace.take_over(numbers, elapsed_ms(self._clock))

    async def before_open(self) -> None:
        """Tails reach their end."""
        await self._tails.catch_up()

    async def close(self) -> None:
        if self._forgetting is not None:
            self._forgetting.cancel()
        await self._tails.close()
        if self._sender is not None:
            await self._sender.close()

    async def _forget(self, die: Callable[[BaseException], None]) -> None:
        while True:
            await asyncio.sleep(_FORGET_SECONDS)
            try:
                now_ms = self._clock.believed_ms()
            except ClockAskew as error:
                die(error)
                return
            if now_ms is not None:
                self._stops.forget(now_ms - HORIZON_MS)


class RolePlan(PlannedRole):
    """What `streams/worker.py` runs: the real parts, as `faust.yaml` has them."""

    def __init__(self, settings: PlanSettings, *, metrics: Metrics, clock: WatchedClock) -> None:
        stops = StopList(settings.flow.rules)
        sender: Sender | None = None
        pace: Pace | None = None
        if settings.role == DECIDE:
            flow = topology.decide(settings.flow, stops)
        else:
            assert settings.channel is not None, "a channel's role has a channel"
            sender = _sender(settings.channel, metrics, clock)
            pace = _pace(settings.channel, settings.flow.partitions)
            outlet = Outlet(
                rendering=Rendering(settings.channel.templates),
                on_misconfigured=partial(_on_misconfigured, metrics, defaultdict(OnceAMinute)),
                sender=sender,
                pace=pace,
            )
            flow = topology.send(_channel(settings.role), settings.flow, stops, outlet, clock)
        tails = _tails(settings, stops, metrics, clock)
        metrics.observe("stops", "Facts that can stop a delivery, held.", lambda: len(stops))
        super().__init__(flow, stops=stops, tails=tails, clock=clock, sender=sender, pace=pace)


def _tails(settings: PlanSettings, stops: StopList, metrics: Metrics, clock: Clock) -> Tails:
    return Tails(
        reader=KafkaTailReader(
            topics=CALLED_OFF if settings.role == DECIDE else STOPS,
            partitions=settings.flow.partitions,
            names=settings.names,
            connection=settings.connection,
            patience=settings.patience,
            on_lost=WorkerObserver(metrics).records_lost,
        ),
        feed=StopFeed(
            stops,
            address_key=settings.flow.address_key,
            partitions=settings.flow.partitions,
        ),
        now_seconds=clock.elapsed_seconds,
        max_age_seconds=settings.tail_max_age_seconds,
    )


def _sender(channel: ChannelSettings, metrics: Metrics, clock: Clock) -> Sender | None:
    if not channel.providers:
        return None
    sender = channel_sender(channel.providers, breaker=channel.breaker, clock=clock)
    return Metered(sender, metrics=metrics, clock=clock)


def _on_misconfigured(
    metrics: Metrics, voices: Mapping[tuple[str, str], OnceAMinute], provider: str, reason: str
) -> None:
    metrics.own(metrics.misconfigured, provider=provider).inc()
    if voices[provider, reason].may_tell():
        log.error(
            "provider refuses our credentials or account: deliveries are kept",
            extra={"provider": provider, "reason": reason},
        )


def _pace(channel: ChannelSettings, partitions: int) -> Pace:
    if channel.senders is not None:
        return SenderPace(limits=channel.senders)
    limit = channel.providers[0][1].rate if channel.providers else None
    return WorkerPace(limit=limit, partitions=partitions)


def _channel(role: str) -> Channel:
    for channel in CHANNELS:
        if channel == role:
            return channel
    raise ValueError(f"no role is called {role!r}")
