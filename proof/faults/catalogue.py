"""All faults, by name, in the order in which they are played."""

from collections.abc import Mapping

from proof.faults.base import Calm, Fault
from proof.faults.kills import Kill, KillTwo

FAULTS: Mapping[str, Fault] = {each.name: each for each in (Calm(), Kill(), KillTwo())}
