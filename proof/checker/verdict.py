"""`Violation`: a promise broken, with the ids to look at; `Tally`: what was judged."""

from collections import Counter
from dataclasses import dataclass, field

import msgspec

INVARIANTS = {
    "L1": "no loss: every promise comes to one end, and is sent only if a provider has it",
    "L2": "no phantom: what a provider has was asked for, for this user, at this address",
    "L3": "no double: a second time only for who asks for it, only in doubt, and told",
    "L4": "stops: opt-outs, suppressions, sold phones, cancellations and pauses are obeyed",
    "L5": "limits: of providers in every window, of people in theirs; a refusal is waited out",
    "L6": "quiet hours: nobody is woken, by the wall clock of their own zone",
    "L7": "receipts: in whatever order they come they tell one story",
    "L8": "liveness: all comes to rest, rubbish as a dead letter",
    "E1": "requests = decided + rejected + duplicate",
    "E2": "deliveries = settled + deferred",
}


class Violation(msgspec.Struct, frozen=True, order=True):
    invariant: str
    words: str
    ids: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.invariant} {self.words} [{', '.join(self.ids)}]"


@dataclass(slots=True)
class Tally:
    """How much of what there was; sums over the parts that were judged apart."""

    counts: Counter[str] = field(default_factory=Counter)
    doubts: Counter[str] = field(default_factory=Counter)
    """Deliveries in doubt, by channel and reason."""

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.counts + other.counts, self.doubts + other.doubts)


@dataclass(slots=True)
class Verdict:
    violations: list[Violation] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    @property
    def is_clean(self) -> bool:
        return not self.violations

    def broken(self) -> Counter[str]:
        """Violations by invariant."""
        return Counter(each.invariant for each in self.violations)
