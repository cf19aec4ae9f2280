"""What operators held back, and when."""

from collections import defaultdict
from collections.abc import Iterable

from proof.checker.evidence import Evidence


class Pauses:
    def __init__(self, found: Evidence) -> None:
        self._spans: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        since: dict[str, int] = {}
        for each in sorted(found.controls, key=lambda each: each.at_ms):
            control = f"{each.scope}:{each.name}"
            if each.action == "pause":
                since.setdefault(control, each.at_ms)
            elif control in since:
                self._spans[control].append((since.pop(control), each.at_ms))
        for control, at_ms in since.items():
            self._spans[control].append((at_ms, found.circumstances.ended_ms))

    def any_at(self, at_ms: int) -> bool:
        if not self._spans:
            return False
        return any(start <= at_ms <= end for spans in self._spans.values() for start, end in spans)

    def any_between(self, controls: Iterable[str], from_ms: int, until_ms: int) -> bool:
        return any(
            start <= until_ms and from_ms <= end
            for control in controls
            for start, end in self._spans.get(control, ())
        )

    def over(self, control: str, at_ms: int, stop_ms: int) -> bool:
        """Whether it was paused, and everybody must have known."""
        if not self._spans:
            return False
        return any(start + stop_ms < at_ms < end for start, end in self._spans.get(control, ()))
