"""Sample traffic: requests in all lanes, repeats, conflicts, rubbish, strays, and a broadcast."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from schemas import topics
from schemas.delivery import Lane
from schemas.ids import partition_of
from schemas.kafka import Record
from streams.demo.people import AUDIENCE

_LANES: tuple[Lane, ...] = ("critical", "normal", "normal", "normal", "bulk")
_RUBBISH = (b"not json", b'{"user_id": 7}', b"\xff\xfe", b'{"type": "order_confirmed"}', b"")


@dataclass
class Traffic:
    """Makes one record after the other; the same for each seed."""

    users: list[str]
    partitions: int
    seed: int = 11
    strays: int = 0
    """Records put into another partition than their user's."""
    repeats: int = 0
    conflicts: int = 0
    rubbish: int = 0
    requests: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._number = 0

    def summary(self) -> str:
        """What was published, by kind."""
        return (
            f"{self.requests} requests, {self.repeats} repeats, {self.conflicts} conflicts, "
            f"{self.rubbish} records of rubbish, {self.strays} in the wrong partition"
        )

    def records(self) -> Iterator[Record]:
        """Without end: mostly sound requests, each hundredth of another kind."""
        earlier: list[dict[str, Any]] = []
        while True:
            chance = self._random.random()
            if chance < 0.01:
                self.rubbish += 1
                yield self._raw(self._random.choice(_RUBBISH))
            elif chance < 0.03 and earlier:
                self.repeats += 1
                yield self._record(self._random.choice(earlier))
            elif chance < 0.04 and earlier:
                self.conflicts += 1
                yield self._record(self._random.choice(earlier) | {"data": {"other": True}})
            else:
                self.requests += 1
                request = self._request()
                if len(earlier) < 200 and "idempotency_key" in request:
                    earlier.append(request)
                yield self._record(request)

    def broadcast(self) -> Record:
        """One event for an audience of thousands."""
        self._number += 1
        asked = {
            "type": "promotion",
            "audience": AUDIENCE,
            "data": {
                "headline": "Autumn sale",
                "offer": "20 % off everything",
                "link": "https://shop.example/sale",
            },
            "idempotency_key": f"sale-{self.seed}-{self._number}",
        }
        partition = self._number % self.partitions
        return Record(topics.BROADCASTS_REQUESTED, partition, json.dumps(asked).encode())

    def _request(self) -> dict[str, Any]:
        self._number += 1
        user_id = self._random.choice(self.users)
        kind, data = self._event()
        request: dict[str, Any] = {"user_id": user_id, "type": kind, "data": data}
        if self._random.random() < 0.8:
            request["idempotency_key"] = f"event-{self.seed}-{self._number}"
        return request

    def _event(self) -> tuple[str, dict[str, Any]]:
        chance = self._random.random()
        if chance < 0.25:
            return "login_code", {"code": f"{self._random.randrange(1_000_000):06d}"}
        if chance < 0.35:
            return "security_alert", {"place": "Lisbon"}
        if chance < 0.5:
            return "friend_joined", {"friend": "Noor"}
        total = f"{self._random.randrange(5, 200)}.00 EUR"
        return "order_confirmed", {"order_id": f"A-{self._number}", "total": total}

    def _record(self, request: dict[str, Any]) -> Record:
        """Now and then in the wrong partition, as a client that hashes otherwise would put it."""
        partition = partition_of(request["user_id"], self.partitions)
        if self._random.random() < 0.02:
            self.strays += 1
            partition = (partition + 1) % self.partitions
        lane = "critical" if request["type"] == "login_code" else self._random.choice(_LANES)
        value = json.dumps(request).encode()
        return Record(topics.REQUESTED[lane], partition, value, request["user_id"].encode())

    def _raw(self, value: bytes) -> Record:
        partition = self._random.randrange(self.partitions)
        return Record(topics.REQUESTED["normal"], partition, value)
