"""What a round came to, kept as JSON so that a run can be gone on with."""

from collections.abc import Iterator

import msgspec

from proof.checker.evidence import Blow
from proof.checker.verdict import Violation

_SHOWN = 20


class Struck(msgspec.Struct, frozen=True):
    """One blow, and what it left."""

    blow: Blow
    doubts: int = 0
    """Deliveries in doubt since it lost their outcome."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    fault: str
    seed: int
    commit: str
    at: str
    seconds: float
    rest_seconds: float
    """From the end of the load until all was at rest."""
    intents: int
    deliveries: int
    accepts: int
    struck: list[Struck] = []
    doubts: dict[str, int] = {}
    """Deliveries in doubt, by channel and reason."""
    violations: list[Violation] = []
    machine: str = ""
    command: str = ""
    """What was typed for it, but for folders of this machine."""
    evidence: str = ""
    """Where it is, if anything is wrong with it."""
    note: str = ""

    @property
    def is_clean(self) -> bool:
        return not self.violations

    def told(self) -> Iterator[str]:
        """Lines for whoever waits for it."""
        yield (
            f"{self.fault} seed {self.seed}: {'clean' if self.is_clean else 'BROKEN'}, "
            f"{len(self.struck)} blows, {self.intents} promises, {self.accepts} accepted, "
            f"{sum(self.doubts.values())} in doubt, {self.seconds:.0f} s {self.note}".rstrip()
        )
        for each in self.violations[:_SHOWN]:
            yield f"  {each}"
        if self.evidence:
            yield f"  evidence: {self.evidence}"

    def kills(self) -> list[Struck]:
        return [each for each in self.struck if each.blow.what == "kill"]
