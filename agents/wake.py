"""Reads what waited and came due, writes deliveries.*, receipts; remembers caps and what waits on."""

from collections.abc import AsyncIterator, Iterator
from itertools import groupby
from typing import NamedTuple

import msgspec

from agents.dispatch import Dispatch, DispatchTerms, Whom
from agents.notices import with_inline
from agents.outgoing import Notice
from agents.portions import portions
from agents.stage import Batch, Effects, Item
from policies.verdicts import Defer
from schemas import ids
from schemas.delivery import Body
from schemas.profile import Profile
from tables import bodies, broadcasts, recipients, waiting
from tables.state import Row, State
from tables.waiting import Due, ForgetBody, Waiter, Waiting

WAITERS_A_YIELD = 1000
_ASK_AGAIN_MS = 3_600_000


class _Asked(NamedTuple):
    """One waiting delivery, with what it is about."""

    waiting: Waiting
    notice: Notice
    waiter: Waiter


class Wake:
    """What was counted is looked at again but for its caps; what was only put off is decided."""

    name = "wake"

    def __init__(self, *, terms: DispatchTerms) -> None:
        self._terms = terms

    async def handle(self, batch: Batch[Due]) -> AsyncIterator[Effects]:
        for items in portions(batch.items, _waiters_in, WAITERS_A_YIELD):
            dispatch = Dispatch(self._terms, batch)
            asked = _asked(batch.state, items)
            dispatch.load_caps(
                (each.notice.body.type, each.waiting.channel, [each.waiter.user_id])
                for each in asked
                if not each.waiting.is_counted
            )
            profiles = recipients.get_many(batch.state, [each.waiter.user_id for each in asked])
            for row, notice, crowd in _crowds(asked, profiles):
                if row.until_ms > batch.now_ms:
                    verdict = Defer(row.until_ms, "scheduled", row.is_counted)
                    dispatch.wait_on(notice, row.channel, crowd, verdict)
                elif row.is_counted:
                    dispatch.decide_again(notice, row.channel, crowd)
                else:
                    dispatch.decide(notice, row.channel, crowd, is_fallback=True)
            forgotten = [item.value for item in items if isinstance(item.value, ForgetBody)]
            rows = [*dispatch.all_rows(), *_forget(forgotten, batch)]
            yield Effects(rows, dispatch.all_records(), items)

    def give_up(self, batch: Batch[Due], item: Item[Due], cause: str) -> Effects:
        """Of a row of many, each waits on alone; the one who raises alone is settled."""
        row = item.value
        if not isinstance(row, Waiting):
            return Effects()
        if len(row.waiters) > 1:
            return Effects(_one_by_one(row, batch.now_ms), done=[item])
        body = row.body or bodies.get_many(batch.state, [row.body_id]).get(row.body_id)
        if body is None:
            return Effects()
        dispatch = Dispatch(self._terms, batch)
        waiter = row.waiters[0]
        return Effects(
            records=[
                dispatch.receipts.delivery(
                    dispatch.fact("failed", "stage_error"), body, row.channel, waiter.user_id,
                    waiter.notification_id, _delivery_id(row, body, waiter),
                )
            ]
        )  # fmt: skip


def _forget(due: list[ForgetBody], batch: Batch[Due]) -> Iterator[Row]:
    """After a long standstill a fan-out may still have members left: each must be told that it is
    too late, and nobody can tell it without the body."""
    under_way = broadcasts.under_way(batch.state) if due else set[bytes]()
    for each in due:
        if each.body_id in under_way:
            yield waiting.put(batch.now_ms + _ASK_AGAIN_MS, each.body_id, each)
        else:
            yield bodies.delete(each.body_id)


def _asked(state: State, items: list[Item[Due]]) -> list[_Asked]:
    rows = [item.value for item in items if isinstance(item.value, Waiting)]
    stored = bodies.get_many(state, (row.body_id for row in rows if row.body is None))
    notices: dict[bytes, Notice] = {}
    asked: list[_Asked] = []
    for row in rows:
        if row.body is not None:
            notice = Notice.of(row.body, row.lane)
        else:
            key = row.body_id + row.lane.encode()
            if key not in notices:
                notices[key] = Notice.of(stored[row.body_id], row.lane, stored_as=row.body_id)
            notice = notices[key]
        asked.extend(_Asked(row, notice, waiter) for waiter in row.waiters)
    return asked


def _crowds(
    asked: list[_Asked], profiles: list[Profile | None]
) -> Iterator[tuple[Waiting, Notice, list[Whom]]]:
    """Those of one row, together."""
    known = zip(asked, profiles, strict=True)
    for _, same in groupby(known, lambda pair: id(pair[0].waiting)):
        some = list(same)
        row, notice, _ = some[0][0]
        yield (
            row,
            notice,
            [
                Whom(
                    waiter.user_id, waiter.notification_id, with_inline(profile, notice.body.inline)
                )
                for (_, _, waiter), profile in some
            ],
        )


def _one_by_one(row: Waiting, now_ms: int) -> list[Row]:
    return [
        waiting.put(
            now_ms,
            waiter.notification_id + row.channel.encode(),
            msgspec.structs.replace(row, waiters=[waiter]),
        )
        for waiter in row.waiters
    ]


def _delivery_id(row: Waiting, body: Body, waiter: Waiter) -> bytes:
    return ids.delivery_id(waiter.notification_id, row.channel, body.accepted_ms)


def _waiters_in(due: Due) -> int:
    return len(due.waiters) if isinstance(due, Waiting) else 1
