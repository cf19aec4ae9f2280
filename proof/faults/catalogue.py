"""All faults, by name, in the order in which they are played."""

from collections.abc import Mapping

from proof.faults.base import Calm, Fault
from proof.faults.kills import Kill, KillTwo
from proof.faults.processes import RollingRestart
from proof.faults.storms import Throttled

_ALL: tuple[Fault, ...] = (
    Calm(),
    *(Kill(), KillTwo()),
    RollingRestart(),
    Throttled(),
)
FAULTS: Mapping[str, Fault] = {each.name: each for each in _ALL}
