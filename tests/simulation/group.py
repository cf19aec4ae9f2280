"""A consumer group in memory: static members, sessions, generations, and a coordinator's answers."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from tests.simulation.spans import Spans


class LostMembership(RuntimeError):
    """Raised when the coordinator no longer knows a member, or a newer one has its slot."""


@dataclass(eq=False)
class Member:
    """One process's membership; `slot` is its static id."""

    slot: str
    last_seen_at: float
    joined: asyncio.Future[frozenset[int]]
    is_gone: bool = False
    partitions: frozenset[int] = frozenset()


@dataclass
class Group:
    """The coordinator of one role."""

    partitions: Collection[int]
    now: Callable[[], float]
    spans: Spans
    members: dict[str, Member] = field(default_factory=dict)
    is_rebalancing: bool = False
    _deadline: float = 0.0

    def join(self, slot: str) -> Member:
        """A static member that comes back within its session gets its partitions at once."""
        earlier = self.members.get(slot)
        member = Member(slot, self.now(), asyncio.get_running_loop().create_future())
        self.members[slot] = member
        if earlier is not None and not earlier.is_gone:
            earlier.is_gone = True
            if not self.is_rebalancing and earlier.joined.done():
                member.partitions = earlier.partitions
                member.joined.set_result(earlier.partitions)
                return member
        self._prepare()
        return member

    def rejoin(self, member: Member) -> None:
        """A member has given up its partitions and waits for the next generation."""
        if member.is_gone:
            raise LostMembership(member.slot)
        member.last_seen_at = self.now()
        member.joined = asyncio.get_running_loop().create_future()
        self._finish_if_all_joined()

    def heartbeat(self, member: Member) -> bool:
        """Whether a rebalance is under way; raises `LostMembership`."""
        if member.is_gone:
            raise LostMembership(member.slot)
        member.last_seen_at = self.now()
        return self.is_rebalancing and member.joined.done()

    def leave(self, slot: str) -> None:
        """An operator scales down: the slot's member is removed."""
        self._remove(self.members[slot])
        self._prepare()

    def expire(self) -> None:
        """Remove members that were silent for a session, or late for a rebalance."""
        late = self.is_rebalancing and self.now() > self._deadline
        silent = [
            member
            for member in self.members.values()
            if self.now() - member.last_seen_at > self.spans.session
            or (late and member.joined.done())
        ]
        for member in silent:
            self._remove(member)
        if silent and self.members:
            self._prepare()

    def _remove(self, member: Member) -> None:
        member.is_gone = True
        del self.members[member.slot]

    def _prepare(self) -> None:
        if not self.is_rebalancing:
            self.is_rebalancing = True
            self._deadline = self.now() + self.spans.rebalance
        self._finish_if_all_joined()

    def _finish_if_all_joined(self) -> None:
        if not self.is_rebalancing or any(each.joined.done() for each in self.members.values()):
            return
        self.is_rebalancing = False
        members = sorted(self.members.values(), key=lambda member: member.slot)
        for index, member in enumerate(members):
            member.partitions = frozenset(p for p in self.partitions if p % len(members) == index)
            member.joined.set_result(member.partitions)
