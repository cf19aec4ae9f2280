"""Stories from seeds. Each has more of something than others: what is rare together is found so."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache

from proof.named_yields import CALLING, Point, points_of
from schemas.delivery import CHANNELS, Channel
from streams.engine.exposure import MAX_EXPOSED
from streams.engine.runner import RunnerSettings
from streams.topology import DECIDE
from tests.simulation.batching import gathered
from tests.simulation.carrier import Moods
from tests.simulation.clocks import StoryClock
from tests.simulation.loop import START_MS
from tests.simulation.real import RealWorld
from tests.simulation.seldom import woven
from tests.simulation.speaking import SAYINGS, USERS, Line, Speaker
from tests.simulation.story import (
    ANY,
    DAY_SECONDS,
    HOUR_SECONDS,
    Blow,
    BlowKind,
    Instant,
    Passing,
    Spell,
    Step,
    Story,
    Turn,
)

BEGIN_SECONDS = 0.5
"""By then everybody is known, so that who is meant is certain."""

_CALM = Moods(throttles=0, refuses=0, rejects=0, loses_request=0, loses_reply=0)
_MOODS: Sequence[Moods] = (
    _CALM,
    Moods(),
    Moods(throttles=0.3, seconds=(0.01, 0.3)),
    Moods(refuses=0.25),
    Moods(rejects=0.4),
    Moods(loses_request=0.2, loses_reply=0.2),
)
_REJECTING = Moods(rejects=0.7)
_SILENT = Moods(loses_reply=1.0)
_DOWN = Moods(refuses=1.0)
_STRIKES: Mapping[BlowKind, int] = {
    "kill": 6, "suspend": 3, "rob": 3, "stop": 3, "wipe": 1, "age": 1, "abort": 1,
}  # fmt: skip
_GATHERED = 5
"""One story of so many has requests in batch records."""
_WOVEN = 14
"""One story of so many has what is said seldom: it takes half as long again as others."""
_BESET = 4
"""One story of so many has blow upon blow, so that processes die while they recover, and again."""
_CUT_OFF = 9
"""One story of so many has workers that are cut off from the broker, besides."""
ABORTABLE = ("staged", "appended")
"""Moments at which a transaction can be aborted."""
_BRING_ABOUT: Mapping[str, Callable[[Speaker], list[Line]]] = {
    "KeepRecipients": Speaker.move,
    "KeepAddresses": Speaker.hand_over_phone,
    "Reconsider": Speaker.ask_what_goes_on,
    "AcceptBroadcast": Speaker.announce,
    "StartBroadcast.1": Speaker.announce_everywhere,
    "StartBroadcast.2": Speaker.announce,
    "FanOut": Speaker.announce,
    "Proofread": Speaker.cancel,
    "Wake": Speaker.ask_for_later,
    "Release.1": Speaker.hold_much_back,
    "Release.2": Speaker.hold_back,
}
"""What leads to a yield, or to a stage's; to others leads whatever is said."""


def write(seed: int) -> Story:
    """Always the same for a seed."""
    writer = _Writer(random.Random(seed))
    story = writer.story(seed)
    if seed % _BESET == 2:
        story = writer.beset(story)
    if seed % _CUT_OFF == 8:
        story = writer.cut_off(story)
    if seed % _WOVEN == 4:
        story = woven(story, random.Random(f"{seed} seldom"), begin_seconds=BEGIN_SECONDS)
    if seed % _GATHERED != _GATHERED - 1:
        return story
    story = replace(story, blows=[_astray(each) for each in story.blows])
    return replace(story, steps=gathered(story.steps, random.Random(f"{seed} gathered")))


def _astray(blow: Blow) -> Blow:
    """A clock that would be a little wrong is so by an hour, and one that would be more by a day."""
    if blow.kind != "clock" or abs(blow.seconds) < 1.0:
        return blow
    wrong_seconds = HOUR_SECONDS if abs(blow.seconds) < 5.0 else DAY_SECONDS
    return replace(blow, seconds=math.copysign(wrong_seconds, blow.seconds))


class _Writer:
    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._focus = ""
        """The yield that most of it is about."""
        channels = self._some_channels()
        if chance.random() < 0.6:
            self._focus = chance.choice(list(dict.fromkeys(each.name for each in all_points())))
            owners = [role for role in CHANNELS if self._focus in _names(role)]
            if owners and not {*owners} & {*channels}:
                channels.append(chance.choice(owners))
            if self._focus == "Reconsider.1":
                goes_on = chance.choice((("email", "sms"), ("push", "email"), CHANNELS))
                channels = sorted({*channels, *goes_on}, key=CHANNELS.index)
        self._channels: Sequence[Channel] = channels
        self._roles = (DECIDE, *channels)
        self._users = chance.sample(USERS, 5)
        self._is_askew = chance.random() < 0.12
        """Somebody will set clocks."""

    def story(self, seed: int) -> Story:
        chance = self._chance
        slots = {DECIDE: chance.choice((1, 1, 2))}
        slots |= {channel: chance.choice((1, 1, 1, 2)) for channel in self._channels}
        steps = self._steps()
        end_seconds = steps[-1].seconds + 1.0
        call_bound = chance.choice((3.0, 3.0, 3.0, 1.0))  # the last is shorter than a call may take
        return Story(
            seed=seed,
            schedule=seed,
            slots=slots,
            settings=RunnerSettings(
                max_open_calls=chance.choice((1, 3, 8)),
                max_exposed=(1, 3, MAX_EXPOSED)[seed % 3],
                drain_seconds=call_bound,
                cut_grace_seconds=1.0,
                tick_seconds=1.0,
            ),
            users=self._users,
            steps=steps,
            blows=self._blows(end_seconds, chance.randint(3, 8)),
            spells=self._spells(end_seconds),
            moods=_REJECTING if self._focus == "Reconsider.1" else chance.choice(_MOODS),
            tail_delay_seconds=chance.choice((0.0, 0.0, 0.0, 0.4)),
        )

    def beset(self, story: Story) -> Story:
        """The same story, and 8 to 32 blows more."""
        more = self._blows(story.steps[-1].seconds + 1.0, self._chance.randint(8, 32))
        return replace(story, blows=[*story.blows, *more])

    def cut_off(self, story: Story) -> Story:
        """The same story, and 2 to 6 times somebody is cut off."""
        chance = self._chance
        more = [self._strike("cut off", chance.random()) for _ in range(chance.randint(2, 6))]
        return replace(story, blows=[*story.blows, *more])

    def _blows(self, end_seconds: float, count: int) -> list[Blow]:
        return [self._blow(end_seconds) for _ in range(count)]

    def _some_channels(self) -> list[Channel]:
        """Seldom all: a world of few processes is over sooner."""
        count = self._chance.choices((1, 2, 3, 4), (7, 6, 4, 3))[0]
        return self._chance.sample(CHANNELS, count)

    def _steps(self) -> list[Step]:
        chance, seconds = self._chance, 0.0
        speaker = Speaker(
            randomness=chance,
            now_ms=lambda: START_MS + round((BEGIN_SECONDS + seconds) * 1000),
            users=self._users,
            channels=self._channels,
        )
        weights = {each: weight * chance.choice((0, 1, 1, 4)) for each, weight in SAYINGS.items()}
        if not any(weights.values()):
            weights = {**SAYINGS}
        stage = self._focus.partition(".")[0]
        leading = _BRING_ABOUT.get(self._focus) or _BRING_ABOUT.get(stage)
        if leading is not None and leading is not Speaker.hold_much_back:
            weights[leading] = 1 + sum(weights.values()) // 3
        sayings = chance.choices(list(weights), list(weights.values()), k=chance.randint(5, 11))
        if leading is not None:
            sayings[chance.randrange(len(sayings))] = leading
        steps = []
        for saying in sayings:
            steps.append(Step(seconds, saying(speaker)))
            if chance.random() < 0.6:
                seconds += chance.expovariate(1 / 0.4)
        return steps

    def _blow(self, end_seconds: float) -> Blow:
        chance = self._chance
        where = chance.random()
        if where < 0.06:
            instant = Instant(chance.uniform(0, end_seconds))
            role = chance.choice(self._roles)
            return Blow("visit", instant, chance.uniform(0.5, 3.0), role=role)
        if self._is_askew and where < 0.25:
            instant = Instant(chance.uniform(0, end_seconds))
            seconds = chance.choice((-8.0, -1.5, -0.3, 0.3, 1.5, 8.0))
            return Blow("clock", instant, seconds, role=f"{chance.choice(self._roles)}-0")
        (kind,) = chance.choices(list(_STRIKES), list(_STRIKES.values()))
        return self._strike(kind, where)

    def _strike(self, kind: BlowKind, where: float) -> Blow:
        """`where`: by chance at a turn of the loop (below 0.3), at any yield (0.6), or at one."""
        chance = self._chance
        when: Passing | Turn
        if where < 0.3 and kind != "abort":
            when = Turn(chance.randint(1, 1000))
        else:
            when = self._passing(kind, is_any=where < 0.6)
        return Blow(kind, when, chance.choice((0.3, 1.5, 3.5)), share=chance.random())

    def _passing(self, kind: BlowKind, *, is_any: bool) -> Passing:
        chance = self._chance
        points = [
            point
            for role in self._roles
            for point in points_by_role()[role]
            if kind != "abort" or point.moment in ABORTABLE
        ]
        if is_any:
            moment = chance.choice([each.moment for each in points if each.moment != CALLING])
            return Passing(ANY, moment, chance.randint(1, 15))
        aimed = [each for each in points if each.name == self._focus]
        point = chance.choice(aimed or points)
        return Passing(point.name, point.moment, chance.choice((1, 1, 1, 2, 3)))

    def _spells(self, end_seconds: float) -> list[Spell]:
        chance = self._chance
        if chance.random() < 0.7:
            return []
        begin = chance.uniform(0, end_seconds)
        moods = chance.choice((_SILENT, _DOWN, *_MOODS))
        channel = chance.choice(self._channels)
        return [Spell(channel, begin, begin + chance.uniform(0.5, 4.0), moods)]


@cache
def points_by_role() -> Mapping[str, Sequence[Point]]:
    """Every moment of every yield of each role's stages."""
    world = RealWorld(seed=0)
    return {
        name: points_of(role.plan(world, StoryClock(world.clock_of(name))).topology)
        for name, role in world.roles.items()
    }


@cache
def all_points() -> Sequence[Point]:
    """Of any role."""
    return list(dict.fromkeys(point for some in points_by_role().values() for point in some))


@cache
def _names(role: str) -> frozenset[str]:
    return frozenset(each.name for each in points_by_role()[role])
