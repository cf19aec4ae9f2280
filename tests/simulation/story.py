"""`Story`: all that is to happen in a world, as values: it can be replayed, and cut shorter."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from schemas.delivery import Channel
from streams.engine.runner import RunnerSettings
from tests.simulation.carrier import Moods
from tests.simulation.speaking import Line

ANY = "any yield"
HOUR_SECONDS, DAY_SECONDS = 3_600.0, 86_400.0
BlowKind = Literal[
    "kill", "suspend", "rob", "stop", "wipe", "age", "abort", "visit", "clock", "cut off"
]


@dataclass(frozen=True, slots=True)
class Passing:
    """When a yield passes a moment for the n-th time, counted from 1, whoever runs it."""

    name: str
    """`ANY` for whichever does."""
    moment: str
    nth: int

    def __str__(self) -> str:
        return f"at {self.name} {self.moment} (time {self.nth})"


@dataclass(frozen=True, slots=True)
class Turn:
    """When processes have had so many turns of the loop; whoever has the next is the victim."""

    number: int

    def __str__(self) -> str:
        return f"at turn {self.number}"


@dataclass(frozen=True, slots=True)
class Instant:
    """So long after the first thing was said."""

    seconds: float

    def __str__(self) -> str:
        return f"after {self.seconds:.2f} s"


@dataclass(frozen=True, slots=True)
class Blow:
    """Something bad. Those that strike a process come with `Passing` or `Turn`."""

    kind: BlowKind
    when: Passing | Turn | Instant
    seconds: float = 0.0
    """How long a suspension, a cut or a visit lasts; by how much clocks are set, which by an hour or
    more they are for a while only: nothing is done by them meanwhile."""
    share: float = 0.0
    """How much of its history an old disk has."""
    role: str = ""
    """Who is visited, or whose clock (a slot's) is set."""

    def __str__(self) -> str:
        details = {
            "suspend": f" for {self.seconds:.1f} s",
            "cut off": f" for {self.seconds:.1f} s",
            "rob": f", wakes after {self.seconds:.1f} s",
            "age": f" to {self.share:.0%}",
            "visit": f" {self.role} for {self.seconds:.1f} s",
            "clock": f" of {self.role} set by {self.seconds:+.1f} s",
        }
        return f"{self.kind}{details.get(self.kind, '')} {self.when}"


@dataclass(frozen=True, slots=True)
class Step:
    """Something that somebody says, so long after the first thing was said."""

    seconds: float
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Spell:
    """Providers of one channel are in another mood for a while."""

    channel: Channel
    seconds: float
    until_seconds: float
    moods: Moods


@dataclass(frozen=True, slots=True)
class Story:
    """Of one seed. `schedule` seeds how long everything takes, and so who comes first."""

    seed: int
    schedule: int
    slots: Mapping[str, int]
    settings: RunnerSettings
    users: Sequence[str]
    steps: Sequence[Step]
    blows: Sequence[Blow]
    spells: Sequence[Spell] = ()
    moods: Moods = field(default_factory=Moods)
    tail_delay_seconds: float = 0.0

    def cut(
        self, *, steps: Collection[int], blows: Collection[int], spells: Collection[int]
    ) -> "Story":
        """Only what has these numbers."""
        return replace(
            self,
            steps=[each for number, each in enumerate(self.steps) if number in steps],
            blows=[each for number, each in enumerate(self.blows) if number in blows],
            spells=[each for number, each in enumerate(self.spells) if number in spells],
        )
