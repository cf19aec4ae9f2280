"""Reads broadcasts.accepted and progress rows that came due, writes deliveries.*, receipts;
remembers progress, bodies, caps and what waits."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple

import msgspec

from agents.dispatch import Dispatch, DispatchTerms, Whom
from agents.outgoing import Notice
from agents.stage import Batch, Effects, Item
from policies.stops import next_look_ms
from schemas import ids
from schemas.broadcast import AcceptedBroadcast
from schemas.delivery import Body
from schemas.profile import Profile
from tables import bodies, broadcasts, decisions, memberships, recipients, waiting
from tables.broadcasts import Progress
from tables.decisions import Seen
from tables.memberships import Member
from tables.state import Row, State
from tables.waiting import ForgetBody

MEMBERS_A_TURN = 1000
"""Members times channels: a turn is some ten milliseconds of work and half a megabyte."""
MEMBERS_A_SHORT_TURN = 150
"""Beside what is urgent: some two milliseconds. Smaller ones cost each member more."""
PAUSE_MS = 1000
"""How often a paused broadcast asks whether it may go on."""
BODY_OUTLIVES_MS = 86_400_000
"""A body is kept this long past its expiry, so that whatever still refers to it can say so."""

_STARTED = b"started"
"""Set apart from the row of the request itself, which is in one of the partitions."""
_UNKNOWN = Profile()


class StartBroadcast:
    """Takes a command over into this partition's state, from where turns go on."""

    name = "start_broadcast"

    def __init__(self, *, terms: DispatchTerms) -> None:
        self._terms = terms

    async def handle(self, batch: Batch[AcceptedBroadcast]) -> AsyncIterator[Effects]:
        for item in batch.items:
            accepted = item.value
            body = accepted.body
            started = body.broadcast_id + _STARTED + accepted.part.to_bytes(2, "big")
            (seen,) = decisions.get_many(batch.state, [started])
            window_ms = self._terms.window_ms
            if seen is not None and abs(body.accepted_ms - seen.appended_ms) < window_ms:
                # The same key came by two partitions, and the other one was first here, though
                # perhaps not where it was accepted.
                yield Effects(done=[item])
                continue
            body_id = bodies.id_of(body)
            forget_ms = body.expires_ms + BODY_OUTLIVES_MS
            rows = [
                decisions.put(started, Seen(body.accepted_ms, b""), window_ms),
                bodies.put(body),
                _wait(_progress(accepted), batch.now_ms),
                waiting.put(forget_ms, body_id, ForgetBody(body_id)),
            ]
            yield Effects(rows, done=[item])

    def give_up(
        self, batch: Batch[AcceptedBroadcast], item: Item[AcceptedBroadcast], cause: str
    ) -> Effects:
        return Effects()


class FanOut:
    """A slice of the members a turn, so that several broadcasts take turns."""

    name = "fan_out"

    def __init__(self, *, terms: DispatchTerms, is_paused: Callable[[Body], bool]) -> None:
        """`is_paused` tells whether an operator holds back such a broadcast as a whole."""
        self._terms = terms
        self._is_paused = is_paused

    async def handle(self, batch: Batch[Progress]) -> AsyncIterator[Effects]:
        for item in batch.items:
            yield self._turn(batch, item)

    def give_up(self, batch: Batch[Progress], item: Item[Progress], cause: str) -> Effects:
        """Of a turn of many, each is tried alone; the one who raises alone is passed over."""
        progress = item.value
        if not progress.single_turns:
            careful = msgspec.structs.replace(progress, single_turns=MEMBERS_A_TURN)
            return Effects([broadcasts.put(batch.now_ms, careful)], done=[item])
        body = bodies.get_many(batch.state, [progress.body_id])[progress.body_id]
        turn = _next_members(batch.state, progress, 1)
        dispatch = Dispatch(self._terms, batch)
        failed = dispatch.fact("failed", "stage_error")
        records = [
            dispatch.receipts.delivery(
                failed, body, channel, member.user_id, notification_id,
                ids.delivery_id(notification_id, channel, body.accepted_ms),
            )
            for member in turn.members
            for channel in progress.channels
            for notification_id in [
                ids.member_notification_id(body.broadcast_id, member.user_id, batch.partition)
            ]
        ]  # fmt: skip
        rows = [] if turn.rest is None else [broadcasts.put(batch.now_ms, turn.rest)]
        return Effects(rows, records)

    def _turn(self, batch: Batch[Progress], item: Item[Progress]) -> Effects:
        progress, state, now_ms = item.value, batch.state, batch.now_ms
        body = bodies.get_many(state, [progress.body_id]).get(progress.body_id)
        if body is None or self._terms.is_broadcast_cancelled(body):
            return Effects(done=[item])
        if progress.starts_ms > now_ms:
            return Effects([_wait(progress, now_ms)], done=[item])
        if self._is_paused(body) and body.expires_ms > now_ms:
            return Effects([broadcasts.put(now_ms + PAUSE_MS, progress)], done=[item])
        limit = _limit(progress, body, batch)
        turn = _next_members(state, progress, limit)
        dispatch = self._expand(batch, progress, body, turn.members)
        rows = dispatch.all_rows()
        if turn.rest is not None:
            is_paced = progress.per_second > 0 and body.expires_ms > now_ms
            wait_ms = round(turn.taken / progress.per_second * 1000) if is_paced else 0
            rows.append(broadcasts.put(now_ms + wait_ms, turn.rest))
        return Effects(rows, dispatch.all_records(), [item])

    def _expand(
        self,
        batch: Batch[Progress],
        progress: Progress,
        body: Body,
        members: Sequence[Member],
    ) -> Dispatch:
        dispatch = Dispatch(self._terms, batch)
        notice = Notice.of(body, progress.lane, stored_as=progress.body_id)
        profiles = recipients.get_many(batch.state, [member.user_id for member in members])
        # The partition stands for the user's hash: it leads to itself, and needs no hashing.
        notification_ids = ids.member_notification_ids(
            body.broadcast_id, (member.user_id for member in members), batch.partition
        )
        crowd = [
            Whom(member.user_id, notification_id, known or _UNKNOWN)
            for member, notification_id, known in zip(
                members, notification_ids, profiles, strict=True
            )
            # Deleted since they joined is a member no more.
            if known is None or not 0 <= member.joined_ms <= known.deleted_ms
        ]
        channels = progress.channels
        user_ids = [whom.user_id for whom in crowd]
        dispatch.load_caps((body.type, channel, user_ids) for channel in channels)
        for channel in channels:
            dispatch.decide(notice, channel, crowd)
        return dispatch


class _Turn(NamedTuple):
    """Whom a turn reaches."""

    members: Sequence[Member]
    taken: int
    """Rows or names passed, members or not: what pacing counts."""
    rest: Progress | None
    """What is left afterwards; None when this was the last turn."""


def _next_members(state: State, progress: Progress, limit: int) -> _Turn:
    single_turns = max(0, progress.single_turns - 1)
    if progress.audience:
        page = memberships.page(state, progress.audience, progress.cursor, limit)
        rest = None
        if page.cursor is not None:
            rest = msgspec.structs.replace(progress, cursor=page.cursor, single_turns=single_turns)
        return _Turn(page.members, len(page.members), rest)
    named = [Member(user_id, -1) for user_id in progress.user_ids[:limit]]
    left = progress.user_ids[limit:]
    rest = msgspec.structs.replace(progress, user_ids=left, single_turns=single_turns)
    return _Turn(named, len(named), rest if left else None)


def _limit(progress: Progress, body: Body, batch: Batch[Progress]) -> int:
    """At most what a second may take, so that a paced broadcast goes out evenly."""
    if progress.single_turns:
        return 1
    at_once = MEMBERS_A_SHORT_TURN if batch.is_short else MEMBERS_A_TURN
    most = max(1, at_once // len(progress.channels))
    if progress.per_second > 0 and body.expires_ms > batch.now_ms:
        return max(1, min(most, int(progress.per_second)))
    return most


def _wait(progress: Progress, now_ms: int) -> Row:
    """Until it starts."""
    return broadcasts.put(next_look_ms(max(progress.starts_ms, now_ms), now_ms), progress)


def _progress(accepted: AcceptedBroadcast) -> Progress:
    return Progress(
        body_id=bodies.id_of(accepted.body),
        part=accepted.part,
        lane=accepted.lane,
        channels=accepted.channels,
        audience=accepted.audience,
        user_ids=accepted.user_ids,
        per_second=accepted.per_second,
        starts_ms=accepted.starts_ms,
    )
