"""Provider requests: members of a work, rendered, as many in one as the sender takes."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from agents.pace import Line
from agents.settlement import Settlement
from agents.work import Work
from channels.base import Content, Outgoing
from channels.rendering import Rendering, TemplateError
from policies.stops import Against
from schemas.delivery import DeliveryBatch


@dataclass(slots=True, eq=False)
class SendCall:
    """One provider request for some members of one work."""

    work: Work
    members: list[int]
    outgoing: list[Outgoing]
    expires_ms: int
    """The first expiry among them."""
    line: Line | None
    """Where its token came from and goes back to."""
    stops: dict[int, Against] = field(default_factory=dict)
    """Places of members stopped right before the request; their outcomes mean nothing."""

    @property
    def size(self) -> int:
        return len(self.members)


class Composer:
    """Renders members and puts those of equal content into one request, at most `most`."""

    def __init__(self, rendering: Rendering, *, most: int) -> None:
        self._rendering = rendering
        self._most = most

    def compose(
        self, work: Work, members: Sequence[int], line: Line | None, settlement: Settlement
    ) -> list[SendCall]:
        """A member that cannot be rendered is settled instead."""
        batch = work.batch
        contents = self._rendering.render(batch, [batch.targets[member] for member in members])
        calls: list[SendCall] = []
        for content, group in _grouped(contents, members):
            if isinstance(content, TemplateError):
                for member in group:
                    settlement.unrenderable(work, member)
                continue
            for some in _parted(batch, group, self._most):
                calls.append(_call(work, some, content, line))
        return calls


def _grouped(
    contents: Sequence[Content | TemplateError], members: Sequence[int]
) -> Iterable[tuple[Content | TemplateError, list[int]]]:
    """Members by content: mostly all have the same."""
    if len(set(map(id, contents))) == 1:
        return [(contents[0], list(members))]
    groups: dict[int, tuple[Content | TemplateError, list[int]]] = {}
    for member, content in zip(members, contents, strict=True):
        groups.setdefault(id(content), (content, []))[1].append(member)
    return groups.values()


def _parted(batch: DeliveryBatch, members: list[int], most: int) -> Iterator[list[int]]:
    """Members that may share a request: at most so many, and none with the address of another,
    which providers refuse."""
    addresses = [batch.targets[member].address.lower() for member in members]
    layers = [members]
    if len(set(addresses)) < len(addresses) and most > 1:
        layers = []
        seen: Counter[str] = Counter()
        for member, address in zip(members, addresses, strict=True):
            if seen[address] == len(layers):
                layers.append([])
            layers[seen[address]].append(member)
            seen[address] += 1
    for layer in layers:
        for start in range(0, len(layer), most):
            yield layer[start : start + most]


def _call(work: Work, members: list[int], content: Content, line: Line | None) -> SendCall:
    batch, bodies = work.batch, work.batch.bodies
    targets = [batch.targets[member] for member in members]
    outgoing = [
        Outgoing(
            target.delivery_id,
            target.notification_id,
            target.user_id,
            target.address,
            content,
            bodies[target.body].expires_ms,
            bodies[target.body].collapse_key,
            batch.sender,
            batch.round,
            batch.attempt,
        )
        for target in targets
    ]
    expires_ms = min(bodies[place].expires_ms for place in {target.body for target in targets})
    return SendCall(work, members, outgoing, expires_ms, line)
