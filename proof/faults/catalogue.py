"""All faults, by name, in the order in which they are played."""

from collections.abc import Mapping

from proof.faults.base import Calm, Fault
from proof.faults.brokers import BrokerAway, BrokerHung, BrokerKilled, BrokerRestarted
from proof.faults.clocks import ClockSet
from proof.faults.clusters import OneOfThreeHung, OneOfThreeKilled, ThreeRestarted
from proof.faults.crowds import KillInACrowd
from proof.faults.disks import DiskDamaged, DiskFails, DiskFull, DiskLost, DiskReadOnly, DiskStale
from proof.faults.inputs import (
    GatheringProducers,
    NewerProducers,
    OffsetsReset,
    OptOutInAFanOut,
    Poison,
    RepeatingProducers,
    WrongPartitions,
)
from proof.faults.kills import Kill, KillAtYields, KillTwo
from proof.faults.names import NoNames
from proof.faults.networks import CutOff, CutOffFromOne
from proof.faults.processes import JoinAndLeave, OptOutBesideABacklog, RollingRestart, Suspended
from proof.faults.scarcity import FewFiles, LittleMemory
from proof.faults.storms import Failing, Hanging, LostReplies, Refused, Throttled
from proof.faults.torn import Torn
from proof.faults.versions import Upgrade

_ALL: tuple[Fault, ...] = (
    Calm(),
    Kill(),
    KillTwo(),
    KillAtYields(),
    KillInACrowd(),
    RollingRestart(),
    Upgrade(),
    JoinAndLeave(),
    Suspended(),
    CutOff(),
    ClockSet(),
    Throttled(),
    Failing(),
    LostReplies(),
    Refused(),
    Hanging(),
    OptOutInAFanOut(),
    OptOutBesideABacklog(),
    Poison(),
    WrongPartitions(),
    NewerProducers(),
    RepeatingProducers(),
    GatheringProducers(),
    OffsetsReset(),
    DiskLost(),
    DiskStale(),
    DiskDamaged(),
    DiskFull(),
    DiskReadOnly(),
    DiskFails(),
    FewFiles(),
    LittleMemory(),
    NoNames(),
    BrokerKilled(),
    BrokerRestarted(),
    BrokerHung(),
    BrokerAway(),
    Torn(),
    OneOfThreeKilled(),
    OneOfThreeHung(),
    ThreeRestarted(),
    CutOffFromOne(),
)
FAULTS: Mapping[str, Fault] = {each.name: each for each in _ALL}
