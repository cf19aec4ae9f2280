"""`Reconciliation`: both equations with their terms, and what is missing in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streams.reconcile.deliveries import Standing
from streams.reconcile.requests import Fate


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What was found of a cohort: the requests appended in a time range, and their deliveries.

    requests = decided + rejected + duplicate + waiting
    deliveries = settled + deferred + retrying + in flight
    """

    requests: int
    fates: Mapping[Fate, int]
    deliveries: int
    standings: Mapping[Standing, int]
    """Of those not settled, only the ones found in a queue or a schedule."""
    overtaken: int
    """Records that retention took before their role had read them, cohort or not."""
    lost_requests: Sequence[str] = ()
    """Some of them, by coordinates."""
    lost_deliveries: Sequence[str] = ()
    """Some of them, by id."""

    @property
    def decided(self) -> int:
        return self.fates.get(Fate.DECIDED, 0)

    @property
    def rejected(self) -> int:
        return self.fates.get(Fate.REJECTED, 0) + self.fates.get(Fate.CONFLICT, 0)

    @property
    def duplicate(self) -> int:
        return self.fates.get(Fate.DUPLICATE, 0)

    @property
    def waiting(self) -> int:
        return self.fates.get(Fate.WAITING, 0)

    @property
    def requests_missing(self) -> int:
        return self.requests - self.decided - self.rejected - self.duplicate - self.waiting

    @property
    def deliveries_missing(self) -> int:
        return self.deliveries - sum(self.standings.values())

    @property
    def holds(self) -> bool:
        """Nothing is missing."""
        return not (self.requests_missing or self.deliveries_missing or self.overtaken)

    def equations(self) -> list[tuple[str, int, dict[str, int], int]]:
        """Of each: what is counted, how many, the terms, how many are missing."""
        requests = {
            "decided": self.decided,
            "rejected": self.rejected,
            "duplicate": self.duplicate,
            "waiting": self.waiting,
        }
        deliveries = {each.label: self.standings.get(each, 0) for each in Standing}
        return [
            ("requests", self.requests, requests, self.requests_missing),
            ("deliveries", self.deliveries, deliveries, self.deliveries_missing),
        ]

    def lines(self) -> list[str]:
        """Both equations in words, and what is wrong with them."""
        told = []
        for name, count, terms, missing in self.equations():
            side = " + ".join(f"{value:,} {term}" for term, value in terms.items())
            verdict = f", {missing:,} MISSING" if missing else ""
            told.append(f"{name}: {count:,} = {side}{verdict}")
        told += [f"lost request: {each}" for each in self.lost_requests]
        told += [f"lost delivery: {each}" for each in self.lost_deliveries]
        if self.overtaken:
            told.append(f"{self.overtaken:,} records were deleted before they were read")
        told.append("both equations hold" if self.holds else "THE EQUATIONS DO NOT HOLD")
        return told

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        found: dict[str, Any] = {"holds": self.holds}
        for name, count, terms, missing in self.equations():
            counted = {term.replace(" ", "_"): value for term, value in terms.items()}
            found[name] = {"total": count, **counted, "missing": missing}
        return found | {
            "overtaken": self.overtaken,
            "lost_requests": list(self.lost_requests),
            "lost_deliveries": list(self.lost_deliveries),
        }
