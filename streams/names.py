"""Names as they are on the cluster: logical names behind a prefix, so that several installations
(or tests) can share one Kafka."""

from collections.abc import Sequence
from dataclasses import dataclass

from tables.state import Kind

_FEW = 3


@dataclass(frozen=True, slots=True)
class Names:
    """Maps logical topics, groups and transactional ids of this installation, and back."""

    prefix: str = ""

    def physical(self, topic: str) -> str:
        return self.prefix + topic

    def logical(self, topic: str) -> str:
        return topic.removeprefix(self.prefix)

    def group(self, role: str) -> str:
        return f"{self.prefix}postrider-{role}"

    def transactional_id(self, role: str, partition: int) -> str:
        """One for each partition of a role (R1): whoever initialises it fences the last owner."""
        return f"{self.transactional_ids(role)}{partition}"

    def transactional_ids(self, role: str) -> str:
        """What those of a role begin with."""
        return f"{self.prefix}postrider-{role}-"


def changelog(role: str, kind: Kind) -> str:
    """The logical name of a store's changelog."""
    return f"{role}-{kind.name.lower()}-changelog"


def few(names: Sequence[str]) -> str:
    """The first of them, and how many more, for a line that a person reads."""
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more
