"""Reads notifications.requested of one lane, writes deliveries.*, receipts; remembers decisions,
caps and what waits."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from agents.dedup import Asked, Dedup
from agents.dispatch import Dispatch, DispatchTerms, Whom
from agents.notices import body_of, channels_of, inline_profile, lane_of, with_inline
from agents.outgoing import MAX_BODY_BYTES, Notice
from agents.receipts import ReceiptsAt
from agents.stage import Batch, Effects, Item
from policies.reasons import Reason
from schemas import ids
from schemas.decode import traceparent_of
from schemas.delivery import Channel, Lane
from schemas.kafka import Record
from schemas.notification import NotificationRequest
from schemas.topics import TRACEPARENT_HEADER
from tables import recipients

Request = Item[NotificationRequest]


class _Accepted(NamedTuple):
    """A request that is neither a repeat nor unknown."""

    user_id: str
    notification_id: bytes
    notice: Notice
    channels: tuple[Channel, ...]
    send_ms: int | None


class Decide:
    """One notification for one request: who is told now, later or not at all, and why."""

    name = "decide"

    def __init__(
        self,
        *,
        terms: DispatchTerms,
        lanes: Mapping[str, Lane],
        tenants: Mapping[str, Collection[str]],
    ) -> None:
        """`lanes`: the ingress topics, each with the fastest lane it may use. `tenants`: whose
        requests a topic takes; one that is not named takes everybody's."""
        self._terms = terms
        self._lanes = lanes
        self._tenants = tenants

    async def handle(self, batch: Batch[NotificationRequest]) -> AsyncIterator[Effects]:
        dispatch = Dispatch(self._terms, batch)
        dedup = Dedup(batch.state, self._terms.window_ms)
        accepted = self._accept(batch, dedup, dispatch)
        profiles = recipients.get_many(batch.state, [each.user_id for each in accepted])
        runs = [list(run) for _, run in groupby(accepted, _alike)]
        dispatch.load_caps(
            (run[0].notice.body.type, channel, [each.user_id for each in run])
            for run in runs
            for channel in run[0].channels
        )
        profile_of = iter(profiles)
        for run in runs:
            crowd = [
                Whom(
                    each.user_id,
                    each.notification_id,
                    with_inline(next(profile_of), each.notice.body.inline),
                    each.notice,
                )
                for each in run
            ]
            first = run[0]
            for channel in first.channels:
                dispatch.decide(first.notice, channel, crowd, send_ms=first.send_ms)
        yield Effects([*dedup.rows(), *dispatch.all_rows()], dispatch.all_records(), batch.items)

    def give_up(self, batch: Batch[NotificationRequest], item: Request, cause: str) -> Effects:
        receipts = self._terms.receipts.at(batch.now_ms)
        return Effects(records=[_refused(receipts, item, "rejected", "stage_error")])

    def _accept(
        self, batch: Batch[NotificationRequest], dedup: Dedup, dispatch: Dispatch
    ) -> list[_Accepted]:
        asked = [
            Asked(
                request_id,
                item.appended_ms,
                item.value.fingerprint if item.value.idempotency_key is not None else None,
            )
            for item, request_id in zip(batch.items, request_ids_of(batch.items), strict=True)
        ]
        dedup.load(asked)
        accepted = []
        types, hash_of = self._terms.rules.types, self._terms.hash_of
        for item, ask in zip(batch.items, asked, strict=True):
            request = item.value
            bar = self._bar(item)
            if bar is not None:
                dispatch.told.append(_refused(dispatch.receipts, item, "rejected", bar))
                continue
            kind = types[request.type]
            body = body_of(
                request, kind,
                appended_ms=item.appended_ms,
                traceparent=item.header(TRACEPARENT_HEADER),
                inline=inline_profile(request.recipient, hash_of),
            )  # fmt: skip
            lane = lane_of(self._lanes[item.topic], kind.category.lane, request.priority)
            notice = Notice.of(body, lane)
            if notice.body_bytes > MAX_BODY_BYTES:
                dispatch.told.append(_refused(dispatch.receipts, item, "rejected", "too_large"))
                continue
            standing = dedup.judge(ask)
            if standing == "new":
                channels, send_ms = channels_of(request, kind), request.send_ms()
                accepted.append(
                    _Accepted(request.user_id, ask.request_id, notice, channels, send_ms)
                )
            elif standing == "duplicate":
                dispatch.told.append(_refused(dispatch.receipts, item, "duplicate", ""))
            else:
                dispatch.told.append(_refused(dispatch.receipts, item, "rejected", standing))
        return accepted

    def _bar(self, item: Request) -> Reason | None:
        """Why a request is refused by the configuration alone. It is not remembered: the same
        request counts once the type is declared or the tenant allowed."""
        tenants = self._tenants.get(item.topic)
        if tenants is not None and item.value.tenant not in tenants:
            return "tenant_not_allowed"
        return None if item.value.type in self._terms.rules.types else "unknown_type"


def _alike(accepted: _Accepted) -> tuple[object, ...]:
    """What decisions, records and receipts of several have in common: a run of them is weighed
    together. Of metadata as it reads, since 1 equals True."""
    notice = accepted.notice
    body = notice.body
    return (
        body.type, accepted.channels, notice.lane, accepted.send_ms,
        body.tenant, body.traceparent, repr(body.metadata) if body.metadata else "",
    )  # fmt: skip


def request_id_of(item: Request) -> bytes:
    """From the producer's key, or without one from the record itself."""
    return request_ids_of([item])[0]


def request_ids_of(items: Sequence[Request]) -> list[bytes]:
    """As `request_id_of`, of many."""
    return ids.notification_ids([item.value.user_id for item in items], [*map(_digest_of, items)])


def _digest_of(item: Request) -> bytes:
    request = item.value
    if request.idempotency_key is not None:
        return ids.key_digest(request.tenant or "", request.user_id, request.idempotency_key)
    return ids.origin_digest(*item.origin)


def _refused(receipts: ReceiptsAt, item: Request, status: str, reason: str) -> Record:
    request = item.value
    return receipts.request(
        status,
        reason,
        user_id=request.user_id,
        request_id=request_id_of(item),
        type_name=request.type,
        origin=str(item.origin),
        tenant=request.tenant or "",
        metadata=request.metadata,
        traceparent=traceparent_of(item.header(TRACEPARENT_HEADER)),
    )
