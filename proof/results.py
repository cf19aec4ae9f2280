"""What a round came to, kept as JSON so that a run can be gone on with."""

import msgspec

from proof.checker.evidence import Blow
from proof.checker.verdict import Violation


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
    evidence: str = ""
    """Where it is, if anything is wrong with it."""
    note: str = ""

    @property
    def is_clean(self) -> bool:
        return not self.violations

    def kills(self) -> int:
        return sum(each.blow.what == "kill" for each in self.struck)
