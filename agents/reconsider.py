"""Reads deliveries.returned, writes deliveries.*, receipts; remembers fallbacks, caps, what waits."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import msgspec

from agents.dispatch import Dispatch, DispatchTerms, Whom
from agents.notices import with_inline
from agents.outgoing import Notice
from agents.portions import halves
from agents.stage import Batch, Effects, Item
from policies.admission import Ruling
from policies.fallback import GoOn, go_on
from schemas import ids
from schemas.delivery import Body, Channel, Lane, Returned, encode_returned
from schemas.kafka import Record
from schemas.profile import Profile
from schemas.topics import DELIVERIES_RETURNED
from tables import fallbacks, recipients


class _Failed(NamedTuple):
    """One notification that failed for good on one channel."""

    user_id: str
    notification_id: bytes
    body: Body
    lane: Lane
    next_id: bytes
    """The delivery that would be first to go on with it: what tells that somebody did."""


class Reconsider:
    """The next channel, under the same notification id; preferences are asked again."""

    name = "reconsider"

    def __init__(self, *, terms: DispatchTerms) -> None:
        self._terms = terms

    async def handle(self, batch: Batch[Returned]) -> AsyncIterator[Effects]:
        failed = [each for item in batch.items for each in _failed_in(item.value)]
        begun = fallbacks.begun(batch.state, [each.next_id for each in failed])
        # Two channels of one notification, or two devices of one delivery, go on as one.
        first = {each.next_id: each for each in failed if each.next_id not in begun}
        profiles = recipients.get_many(batch.state, [each.user_id for each in first.values()])
        dispatch = Dispatch(self._terms, batch)
        dispatch.load_caps(
            (each.body.type, channel, [each.user_id])
            for each in first.values()
            for channel in each.body.fallback
        )
        notices = _Notices()
        for each, known in zip(first.values(), profiles, strict=True):
            _go_on(dispatch, notices, each, known)
        rows = [
            fallbacks.put(each.next_id, now_ms=batch.now_ms, expires_ms=each.body.expires_ms)
            for each in first.values()
        ]
        yield Effects([*dispatch.all_rows(), *rows], dispatch.all_records(), batch.items)

    def give_up(self, batch: Batch[Returned], item: Item[Returned], cause: str) -> Effects:
        """Of many, each half is tried again; who raises alone has failed by the next channel too."""
        returned = item.value
        if len(returned.targets) > 1:
            parts = [
                msgspec.structs.replace(returned, targets=list(half))
                for half in halves(returned.targets)
            ]
            records = [
                Record(DELIVERIES_RETURNED, batch.partition, encode_returned(part))
                for part in parts
            ]
            return Effects(records=records, done=[item])
        dispatch = Dispatch(self._terms, batch)
        fact = dispatch.fact("failed", "stage_error")
        return Effects(
            records=[
                dispatch.receipts.delivery(
                    fact, each.body, each.body.fallback[0], each.user_id, each.notification_id,
                    each.next_id,
                )
                for each in _failed_in(item.value)
            ]
        )  # fmt: skip


class _Notices:
    """One notice for all who go on with the same body, so that they share it again."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, Lane, tuple[Channel, ...]], tuple[Body, Notice]] = {}

    def of(self, body: Body, lane: Lane, remaining: tuple[Channel, ...]) -> Notice:
        key = (id(body), lane, remaining)
        if key not in self._known:
            rest = msgspec.structs.replace(body, fallback=remaining)
            self._known[key] = (body, Notice.of(rest, lane))  # holds the body, hence its id
        return self._known[key][1]


def _failed_in(returned: Returned) -> list[_Failed]:
    failed = []
    for target in returned.targets:
        body = returned.bodies[target.body]
        if body.fallback:
            next_id = ids.delivery_id(target.notification_id, body.fallback[0], body.accepted_ms)
            failed.append(
                _Failed(target.user_id, target.notification_id, body, returned.lane, next_id)
            )
    return failed


def _go_on(dispatch: Dispatch, notices: _Notices, failed: _Failed, profile: Profile | None) -> None:
    asked = notices.of(failed.body, failed.lane, ())
    whom = Whom(failed.user_id, failed.notification_id, with_inline(profile, failed.body.inline))

    def admit(channel: Channel) -> Ruling:
        case = dispatch.case(asked, channel, is_fallback=True)
        (ruling,) = dispatch.rule(case, asked, channel, [whom])
        return ruling

    answer = go_on(failed.body.fallback, admit)
    for channel, settled in answer.refused:
        dispatch.carry_out(asked, channel, [whom], [settled])
    if isinstance(answer, GoOn):
        notice = notices.of(failed.body, failed.lane, answer.remaining)
        dispatch.carry_out(notice, answer.channel, [whom], [answer.ruling])
