"""A producer that gathers what it asks for, and writes several requests as one record."""

import random
from collections.abc import Sequence
from dataclasses import replace

from schemas import topics
from schemas.kafka import Record
from tests.simulation.speaking import RUBBISH, Line
from tests.simulation.story import Step

_MOST = 6
_MISPLACED_SHARE = 0.3
_UNREADABLE = b"7"
"""In the place of a request."""


def gathered(steps: Sequence[Step], chance: random.Random) -> list[Step]:
    """The same things said, some requests earlier, with others."""
    producer = _Producer(chance)
    for step in steps:
        producer.say(step)
    return producer.steps()


class _Producer:
    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._steps: list[Step] = []
        self._batch: list[Record] = []
        self._left = 0
        self._began = 0
        """At which step the first of the batch was said."""

    def say(self, step: Step) -> None:
        self._steps.append(replace(step, lines=[each for each in step.lines if not _asks(each)]))
        for line in step.lines:
            if _asks(line):
                self._ask(line.record)

    def steps(self) -> list[Step]:
        self._end()
        return self._steps

    def _ask(self, record: Record) -> None:
        if not self._left:
            self._end()
            self._began, self._left = len(self._steps) - 1, self._chance.randint(1, _MOST)
        self._left -= 1
        is_near = not self._batch or record.partition == self._batch[0].partition
        if is_near or self._chance.random() < _MISPLACED_SHARE:
            self._batch.append(record)
        else:
            self._add(record)

    def _end(self) -> None:
        if not self._batch:
            return
        values = [record.value or b"" for record in self._batch]
        if self._chance.random() < 0.2:
            values.insert(self._chance.randint(0, len(values)), _UNREADABLE)
        first = self._batch[0]
        self._add(Record(first.topic, first.partition, b"[" + b",".join(values) + b"]"))
        self._batch = []

    def _add(self, record: Record) -> None:
        step = self._steps[self._began]
        self._steps[self._began] = replace(step, lines=[*step.lines, Line(record)])


def _asks(line: Line) -> bool:
    """A request that anybody can read and that waits for nothing."""
    record = line.record
    is_request = record.topic in topics.REQUESTED.values() and RUBBISH not in record.headers
    return is_request and not line.after_seconds
