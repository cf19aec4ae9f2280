"""A story as text: who said what, what was struck, who lived and died, and what was heard of it."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from schemas import topics
from schemas.instants import to_ms
from schemas.kafka import Record
from tests.simulation.loop import START_MS
from tests.simulation.speaking import LARGE
from tests.simulation.story import Story
from tests.simulation.telling import Ending
from tests.simulation.writing import BEGIN_SECONDS

_LONGEST = 150


class Event(NamedTuple):
    """Something that happened, in seconds since the world began."""

    seconds: float
    what: str


def retell(story: Story, ending: Ending) -> Iterator[str]:
    """In the order it happened."""
    slots = ", ".join(f"{count} {role}" for role, count in story.slots.items())
    yield f"seed {story.seed} (schedule {story.schedule}): {slots}"
    yield f"  at most {story.settings.max_open_calls} open calls; providers: {story.moods}"
    if story.tail_delay_seconds:
        yield f"  tails are {story.tail_delay_seconds} s late"
    for event in sorted(_events(story, ending), key=lambda each: each.seconds):
        yield f"{event.seconds:9.3f} s  {event.what}"
    yield "it ended badly:" if ending.complaints else "it ended well."
    for complaint in ending.complaints:
        yield f"  {complaint}"


def _events(story: Story, ending: Ending) -> Iterator[Event]:
    for step in story.steps:
        for line in step.lines:
            seconds = BEGIN_SECONDS + step.seconds + line.after_seconds
            yield Event(seconds, f"said      {_said(line.record)}")
    for spell in story.spells:
        begin = BEGIN_SECONDS + spell.seconds
        yield Event(begin, f"providers {spell.channel}: {spell.moods}")
        end = BEGIN_SECONDS + spell.until_seconds
        yield Event(end, f"providers {spell.channel}: as before")
    for at_ms, blow, slot in ending.struck:
        yield Event(_since(at_ms), f"STRUCK    {slot} {blow}")
    for at_ms, what in ending.chronicle:
        if at_ms > START_MS:
            yield Event(_since(at_ms), f"worker    {what}")
    yield from _heard(ending)


def _heard(ending: Ending) -> Iterator[Event]:
    if ending.found is None:
        return
    for call in ending.found.acceptances:
        message = call.message
        what = f"{call.channel} to {message.user_id} ({message.address}), attempt {message.attempt}"
        yield Event(_since(call.taken_ms), f"taken     {what}")
    for receipt in ending.found.receipts:
        about = [receipt.user_id, receipt.type, receipt.channel, receipt.device_id, receipt.status]
        words = " ".join(filter(None, [*about, receipt.reason]))
        at_ms = to_ms(datetime.fromisoformat(receipt.occurred_at))
        yield Event(_since(at_ms), f"receipt   {words} [{receipt.delivery_id[:8]}]")


def _said(record: Record) -> str:
    place = f"{record.topic}/{record.partition}"
    return f"{place}: {_shown(record)}".replace(LARGE, "...")[:_LONGEST]


def _shown(record: Record) -> str:
    if record.topic == topics.RECIPIENTS_IMPORTED:
        return "an import"
    try:
        said: Any = json.loads(record.value or b"")
    except (ValueError, RecursionError):
        return f"rubbish {record.value!r}"
    if isinstance(said, list):
        return " | ".join(map(_worded, said)) or "rubbish []"
    return _worded(said)


def _worded(said: Any) -> str:
    if not isinstance(said, dict):
        return f"rubbish {said}"
    return " ".join(f"{name}={value}" for name, value in said.items() if name != "metadata")


def _since(at_ms: int) -> float:
    return (at_ms - START_MS) / 1000
