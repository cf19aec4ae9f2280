"""Provider requests: members of a work, rendered, as many in one as the sender takes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.pace import Line
from agents.settlement import Settlement
from agents.work import Work
from channels.base import Content, Outgoing
from channels.rendering import Rendering, TemplateError
from policies.stops import Park, Stop, Wait


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
    stops: dict[int, Stop | Park | Wait] = field(default_factory=dict)
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
        groups: dict[int, tuple[Content, list[int]]] = {}
        for member, content in zip(members, contents, strict=True):
            if isinstance(content, TemplateError):
                settlement.unrenderable(work, member)
            else:
                groups.setdefault(id(content), (content, []))[1].append(member)
        return [
            _call(work, group[start : start + self._most], content, line)
            for content, group in groups.values()
            for start in range(0, len(group), self._most)
        ]


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
    expires_ms = min(message.expires_ms for message in outgoing)
    return SendCall(work, members, outgoing, expires_ms, line)
