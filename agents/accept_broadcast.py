"""Reads broadcasts.requested, writes broadcasts.accepted, a command a partition; remembers decisions."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator

from agents.dedup import Asked, Dedup
from agents.dispatch import DispatchTerms
from agents.notices import body_of, channels_of, lane_of
from agents.outgoing import MAX_BODY_BYTES
from agents.receipts import ReceiptsAt
from agents.stage import Batch, Effects, Item
from policies.rules import NotificationType
from schemas import ids
from schemas.broadcast import AcceptedBroadcast, encode_accepted
from schemas.decode import traceparent_of
from schemas.delivery import Body, Channel, encode_body
from schemas.kafka import Record
from schemas.notification import BroadcastRequest
from schemas.topics import BROADCASTS_ACCEPTED, TRACEPARENT_HEADER

Request = Item[BroadcastRequest]

USERS_A_COMMAND = 1000
"""Of the longest ids, these and the largest body fit one record."""


class AcceptBroadcast:
    """Turns a broadcast inside out: every partition is told to expand its own members."""

    name = "accept_broadcast"

    def __init__(self, *, terms: DispatchTerms) -> None:
        self._terms = terms

    async def handle(self, batch: Batch[BroadcastRequest]) -> AsyncIterator[Effects]:
        for (
            item
        ) in batch.items:  # a yield each: one may hold as many bodies as there are partitions
            dedup = Dedup(batch.state, self._terms.window_ms)
            records = list(self._answer(item, dedup, batch.now_ms))
            yield Effects(dedup.rows(), records, [item])

    def give_up(self, batch: Batch[BroadcastRequest], item: Request, cause: str) -> Effects:
        receipts = self._terms.receipts.at(batch.now_ms)
        return Effects(records=[_refused(receipts, item, "rejected", "stage_error")])

    def _answer(self, item: Request, dedup: Dedup, now_ms: int) -> Iterator[Record]:
        request = item.value
        receipts = self._terms.receipts.at(now_ms)
        kind = self._terms.rules.types.get(request.type)
        if kind is None:
            yield _refused(receipts, item, "rejected", "unknown_type")
            return
        body = body_of(
            request, kind,
            appended_ms=item.appended_ms,
            traceparent=item.header(TRACEPARENT_HEADER),
            broadcast_id=request_id_of(item),
        )  # fmt: skip
        if len(encode_body(body)) > MAX_BODY_BYTES:
            yield _refused(receipts, item, "rejected", "too_large")
            return
        fingerprint = request.fingerprint if request.idempotency_key is not None else None
        asked = Asked(body.broadcast_id, item.appended_ms, fingerprint)
        dedup.load([asked])
        standing = dedup.judge(asked)
        if standing != "new":
            is_repeat = standing == "duplicate"
            status, reason = ("duplicate", "") if is_repeat else ("rejected", standing)
            yield _refused(receipts, item, status, reason)
            return
        wanted = channels_of(request, kind)
        channels = tuple(each for each in wanted if each in kind.channels)
        if len(channels) < len(wanted):
            yield _refused(receipts, item, "rejected", "channel_not_in_type")
        if channels:
            yield from self._commands(request, kind, body, channels, now_ms)

    def _commands(
        self,
        request: BroadcastRequest,
        kind: NotificationType,
        body: Body,
        channels: tuple[Channel, ...],
        now_ms: int,
    ) -> Iterator[Record]:
        partitions = self._terms.partitions
        users: defaultdict[int, list[str]] = defaultdict(list)
        for user_id in request.user_ids or ():
            users[ids.partition_of(user_id, partitions)].append(user_id)
        # The audience of one partition is about as large as that of another, the users of a
        # list need not be: each list's share of the rate is its share of the users.
        rate = request.max_per_second or 0
        for partition in range(partitions) if request.audience is not None else users:
            named = users[partition]
            share = len(named) / len(request.user_ids) if request.user_ids else 1 / partitions
            for part in range(max(1, -(-len(named) // USERS_A_COMMAND))):
                some = named[part * USERS_A_COMMAND : (part + 1) * USERS_A_COMMAND]
                accepted = AcceptedBroadcast(
                    body=body,
                    # A broadcast never stands before single notifications, whatever its type.
                    lane=lane_of("bulk", kind.category.lane, request.priority),
                    channels=channels,
                    starts_ms=request.send_ms() or now_ms,
                    audience=request.audience or "",
                    user_ids=some,
                    part=part,
                    per_second=rate * share * (len(some) / len(named) if named else 1),
                )
                yield Record(BROADCASTS_ACCEPTED, partition, encode_accepted(accepted))


def request_id_of(item: Request) -> bytes:
    """From the producer's key, or without one from the record itself."""
    request = item.value
    if request.idempotency_key is not None:
        return ids.broadcast_id(request.tenant or "", request.idempotency_key)
    return ids.broadcast_id_from_origin(item.topic, item.partition, item.offset, item.appended_ms)


def _refused(receipts: ReceiptsAt, item: Request, status: str, reason: str) -> Record:
    request = item.value
    return receipts.request(
        status,
        reason,
        user_id="",
        request_id=request_id_of(item),
        type_name=request.type,
        origin=str(item.origin),
        tenant=request.tenant or "",
        is_broadcast=True,
        metadata=request.metadata,
        traceparent=traceparent_of(item.header(TRACEPARENT_HEADER)),
    )
