"""A worker of each role killed with -9 at its named yields: nothing lost, nothing twice untold.

By default one moment of each yield; `EVERY_POINT=1` dies at every moment of every yield (some
minutes). The figures are printed: `-s` shows them.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from policies.clock import SystemClock
from proof.doom import Death, deaths, install
from proof.named_yields import CALLING, Point, points_of
from streams.assembly import plan_for
from streams.cli.clients import patience_of
from streams.embedded_kafka import EmbeddedKafka
from streams.metrics import Metrics
from streams.topology import ROLES
from streams.watched_clock import WatchedClock
from tests.acceptance.eventful import Traffic
from tests.acceptance.scripted_lab import ScriptedPipeline, scripted, where
from tests.acceptance.test_pipeline_faults import check

EVERY_POINT = bool(os.environ.get("EVERY_POINT"))
URGENT_SECONDS = 60 if EVERY_POINT else 20
"""What is sent again when in doubt, is so after half a minute: the short run has no time for it."""
REACHED_SECONDS = 90
"""A point that is not reached by then, no traffic reaches."""


class Chain:
    """The lives of one role, each ending at another point."""

    def __init__(self, opened: ScriptedPipeline, role: str) -> None:
        self._opened = opened
        self.role = role
        make = plan_for(opened.config, role=role, patience=patience_of(opened.config))
        plan = make(Metrics(role=role, slot=0), WatchedClock(SystemClock()))
        every = points_of(plan.topology)
        self.points = every if EVERY_POINT else _one_each(every)
        self._now: Point | None = None

    def wants_large(self) -> bool:
        """Whether only rows that do not fit one yield make it go on."""
        return self._now is not None and self._now.name == "Release.1"

    async def run(self, report: Path) -> None:
        """Until the last life has begun, which is an ordinary one."""
        opened, role = self._opened, self.role
        for point in self.points:
            self._now = point
            opened.start(
                role,
                prepare=partial(
                    install, role, point, report=report, ledger=opened.sandbox.ledger_dir
                ),
            )
            code = await asyncio.to_thread(self._end)
            assert code is not None, f"no traffic makes {role} reach {point}"
            assert code == -signal.SIGKILL, opened.log_of(role).read_text()
        self._now = None
        opened.start(role)

    def _end(self) -> int | None:
        """How this life ends; None when it does not."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._opened.workers[self.role].wait(REACHED_SECONDS)
        return None


def _one_each(points: Sequence[Point]) -> list[Point]:
    """Of every yield another moment, so that all moments come; and each open call."""
    chosen = []
    for place, name in enumerate(dict.fromkeys(each.name for each in points)):
        moments = [each for each in points if each.name == name and each.moment != CALLING]
        chosen.append(moments[place % len(moments)])
    return chosen + [each for each in points if each.moment == CALLING]


@pytest.mark.timeout(1800 if EVERY_POINT else 300)
async def test_a_worker_that_dies_at_a_named_yield_loses_nothing_and_tells_every_doubt(
    kafka: EmbeddedKafka, tmp_path: Path
) -> None:
    report = tmp_path / "deaths.jsonl"
    async with scripted(kafka.bootstrap, tmp_path, roles=()) as opened:
        chains = [Chain(opened, role) for role in ROLES]
        traffic = Traffic(
            opened,
            urgent_seconds=URGENT_SECONDS,
            wants_large=lambda: any(chain.wants_large() for chain in chains),
        )
        running = asyncio.gather(*(chain.run(report) for chain in chains))
        await traffic.introduce()
        async with traffic.flowing():
            await running

        left = await opened.unsettled(traffic.wanted, within_seconds=90)
        assert not left, where(opened, left)
        await check(opened, may_doubt=True)
        found = deaths(report)
        hit = {(death.role, death.point) for death in found}
        assert hit == {(chain.role, str(point)) for chain in chains for point in chain.points}
        _check_doubts(opened, found)


def _check_doubts(opened: ScriptedPipeline, found: Sequence[Death]) -> None:
    """No more is in doubt than was intended, without an outcome, when its worker died, and
    nothing is sent once more than it was in doubt."""
    doubts = Counter(each.delivery_id for each in opened.receipts if each.status == "in_doubt")
    for delivery_id, times in opened.accepted().items():
        assert times <= 1 + doubts[delivery_id], f"{delivery_id} was accepted {times} times"
    lost = Counter(each.channel for each in opened.receipts if each.reason == "outcome_lost")
    for role in sorted({death.role for death in found}):
        here = [death for death in found if death.role == role]
        intents = sum(death.intents for death in here)
        calls = sum(death.open_calls for death in here)
        longest = max(here, key=lambda death: death.lived_seconds)
        print(
            f"{role}: {len(here)} kills, {intents} deliveries intended and {calls} calls open when "
            f"they came, {lost[role]} in doubt; {longest.point} took {longest.lived_seconds} s"
        )
        assert lost[role] <= intents
    print(f"{len(found)} points")
