"""What is said seldom: people who leave, addresses that are barred, laws, tenants, limits of one's own.

It is woven into one story of so many, by a chance of its own: all others stay as they were.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from schemas.delivery import CHANNELS, Channel
from schemas.instants import rfc3339
from tests.simulation.carrier import Moods
from tests.simulation.loop import START_MS
from tests.simulation.real import BY_LAW, RULES
from tests.simulation.speaking import AUDIENCES, Line, Speaker
from tests.simulation.story import Step, Story

TENANT = "shop"
_FAILING = Moods(refuses=0.8)
"""So that a delivery may be given up."""
_FIRST_NUMBER = 1_000
"""Nobody else in the story counts that far."""
_LONG_SECONDS = 8.0
"""A pause that everybody has heard of long before it ends."""
_ABOUT_THE_WINDOW_SECONDS = (-1.0, -0.001, 0.0, 1.0)
"""Before the window for repeats is over, by a hair or not, and after it."""


def woven(story: Story, chance: random.Random, *, begin_seconds: float) -> Story:
    """The same story, and in it some of what is said seldom. `begin_seconds`: when it begins."""
    end_seconds = story.steps[-1].seconds + 1.0
    moments = sorted(chance.uniform(0, end_seconds) for _ in range(chance.randint(2, 4)))
    people = _People(story, chance, begin_ms=START_MS + round(begin_seconds * 1000))
    steps = [*story.steps, *(Step(each, people.something(each)) for each in moments)]
    return replace(
        story,
        steps=sorted(steps, key=lambda each: each.seconds),
        moods=chance.choice((story.moods, story.moods, _FAILING)),
    )


class _People:
    def __init__(self, story: Story, chance: random.Random, *, begin_ms: int) -> None:
        self._chance = chance
        self._users = story.users
        self._channels: Sequence[Channel] = [each for each in CHANNELS if each in story.slots]
        self._is_askew = any(each.kind == "clock" for each in story.blows)
        """Where somebody sets clocks, a bar of some seconds ends when a worker thinks so."""
        self._now_ms = begin_ms
        self._begin_ms = begin_ms
        self._speaker = Speaker(
            randomness=chance,
            now_ms=lambda: self._now_ms,
            users=story.users,
            channels=self._channels,
            first_number=_FIRST_NUMBER,
        )

    def something(self, seconds: float) -> list[Line]:
        self._now_ms = self._begin_ms + round(seconds * 1000)
        return self._chance.choice(_SAYINGS)(self)

    def leave(self) -> list[Line]:
        """Somebody wants to be forgotten, and may be back at once."""
        user = self._somebody()
        said = self._speaker.change(user, "recipient_deleted", source="user")
        if self._chance.random() < 0.5:
            said += self._speaker.change(
                user, "recipient_updated", source="user", email=f"{user}-again@example.org"
            )
        return [*said, *self._asked_soon(user)]

    def lose_phone(self) -> list[Line]:
        user, device = self._somebody(), self._chance.choice(("d0", "d1", "phone"))
        return [
            *self._speaker.change(user, "device_removed", source="user", device_id=device),
            *self._asked_soon(user),
        ]

    def bar(self) -> list[Line]:
        """An address is not to be used: for good, for a while, or until somebody says otherwise."""
        user = self._somebody()
        channel = self._chance.choice(self._channels)
        until_ms = self._now_ms + self._chance.choice((500, 5_000))
        until: dict[str, Any] = {}
        if self._chance.random() < 0.4 and not self._is_askew:
            until["until"] = rfc3339(until_ms)
        said = self._speaker.change(
            user, "address_suppressed", source="producer",
            channel=channel, reason="complaint", **until,
        )  # fmt: skip
        if self._chance.random() < 0.4:
            self._now_ms += 1
            said += self._speaker.change(
                user, "address_released", source="producer", channel=channel
            )
        return [*said, *self._asked_soon(user)]

    def change_audience(self) -> list[Line]:
        """While broadcasts to it may be under way."""
        change = self._chance.choice(("audience_joined", "audience_left"))
        audience = self._chance.choice(list(AUDIENCES))
        said = self._speaker.change(self._somebody(), change, source="producer", audience=audience)
        return [*said, *self._speaker.announce()]

    def want_less(self) -> list[Line]:
        """Somebody sets a limit of their own, and is asked about more often."""
        user, channel = self._somebody(), self._chance.choice(self._channels)
        limit = self._chance.choice((0, 1, 1, 2))
        said = self._speaker.wish(user, channel, daily_limit=limit)
        return [*said, *self._asked_soon(user), *self._asked_soon(user), *self._asked_soon(user)]

    def sell(self) -> list[Line]:
        """By SMS, when the law lets it go out."""
        if "sms" not in self._channels:
            return self.pause_for_long()
        said = []
        for user in self._chance.sample(self._users, 3):
            said += self._speaker.request(self._speaker.plain(user, BY_LAW))
        return said

    def serve_tenants(self) -> list[Line]:
        """The same key of two of them is not the same request; one of them may be paused."""
        request = self._speaker.plain(self._somebody()) | {"idempotency_key": "shared"}
        said = [
            *self._speaker.request(request),
            *self._speaker.request(request | {"tenant": TENANT}),
        ]
        return self._paused_for_long("tenant", TENANT, said)

    def use_a_key_again(self) -> list[Line]:
        """For something else, when the first, which was put off, may still be to come."""
        user, key = self._somebody(), f"again{self._chance.randrange(1_000_000)}"
        asked = self._speaker.plain(user) | {"idempotency_key": key}
        later_seconds = RULES.dedup_window_seconds + self._chance.choice(_ABOUT_THE_WINDOW_SECONDS)
        if self._chance.random() < 0.5:
            asked["send_at"] = rfc3339(self._now_ms + round(later_seconds * 1000) + 2_000)
        another = asked | {"data": {"number": "again"}}
        tell: Callable[[dict[str, Any]], list[Line]] = self._speaker.request
        if self._chance.random() < 0.6:
            audience = {"audience": self._chance.choice(list(AUDIENCES))}
            asked, another = ({**each, **audience} for each in (asked, another))
            del asked["user_id"], another["user_id"]
            tell = self._speaker.broadcast
        return [*tell(asked), *(Line(each.record, later_seconds) for each in tell(another))]

    def pause_for_long(self) -> list[Line]:
        kind = self._speaker.any_type()
        scope, name = self._chance.choice(
            (("type", kind), ("channel", self._chance.choice(self._channels)))
        )
        said = self._speaker.request(self._speaker.plain(self._somebody(), kind))
        return self._paused_for_long(scope, name, said)

    def _paused_for_long(self, scope: str, name: str, said: Sequence[Line]) -> list[Line]:
        later = [Line(each.record, _LONG_SECONDS - 2.0) for each in said]
        resume = self._speaker.control("resume", scope, name, later_seconds=_LONG_SECONDS)
        return [*self._speaker.control("pause", scope, name), *later, *resume]

    def _somebody(self) -> str:
        return self._chance.choice(self._users)

    def _asked_soon(self, user: str) -> list[Line]:
        asked = self._speaker.request(self._speaker.plain(user))
        return [Line(each.record, self._chance.choice((0.0, 0.3, 6.0))) for each in asked]


_SAYINGS: Sequence[Callable[[_People], list[Line]]] = (
    _People.leave, _People.lose_phone, _People.bar, _People.change_audience, _People.want_less,
    _People.sell, _People.serve_tenants, _People.pause_for_long,
    _People.use_a_key_again,
)  # fmt: skip
