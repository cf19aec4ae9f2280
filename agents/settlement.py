"""`Settlement`: what follows from outcomes and stops, gathered for one yield.

Ledger rows, receipts, retries, fallbacks, dead letters and changes to recipients that belong
to one outcome are one transaction, so that none of them can be without the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

from agents.facts import Fact
from agents.followups import FollowUps, Later
from agents.portions import halves
from agents.receipts import Asked, ReceiptWriter
from agents.stage import Effects
from agents.work import Work
from policies.in_doubt import at_take_over, policy_of
from policies.retry import Hold, InDoubtFor, Next, RetryAt, Sent, Settled, after
from policies.rules import Rules
from policies.stops import Against, Park, StopList, Wait
from schemas.delivery import Body, Channel
from schemas.outcome import Accepted, AddressInvalid, Outcome
from schemas.receipt import Status
from tables.attempts import Stand
from tables.state import Row, State

EXHAUSTED = "attempts_exhausted"
MISCONFIGURED = "provider_misconfigured"
LEDGER_RETENTION_MS = 9 * 86_400_000
"""Longer than the senders' tails (7 days) and than dead letters are kept: a delivery whose row
is gone is too old to be sent, and a dead letter replayed twice still finds the first replay."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What all settlements of a sender go by."""

    rules: Rules
    stops: StopList
    receipts: ReceiptWriter
    partitions: int
    """Of all co-partitioned topics: where a recipient's own records go."""
    on_misconfigured: Callable[[str, str], None]
    """Told the provider and the reason: an operator must mend it."""


class Settlement:
    """One yield in the making, at one instant. Each member is settled once, by one method."""

    def __init__(self, terms: Terms, state: State, now_ms: int) -> None:
        self._terms = terms
        self._state = state
        self._now_ms = now_ms
        self._receipts = terms.receipts.at(now_ms)
        self._facts: dict[tuple[object, ...], Fact] = {}
        self._touched: dict[Work, list[int]] = {}
        self._told: dict[tuple[Fact, int], tuple[Body, Channel, list[Asked]]] = {}
        """By fact and body, since a slice's members mostly meet the same fate."""
        self._rows: list[Row] = []
        self._follow_ups = FollowUps(state=state, partitions=terms.partitions, now_ms=now_ms)

    def outcomes(
        self, work: Work, members: Sequence[int], outcomes: Sequence[Outcome], provider: str
    ) -> None:
        """What a provider said of each; `provider` is the channel's first, where it does not say who."""
        first = outcomes[0] if outcomes else None
        if isinstance(first, Accepted) and outcomes.count(first) == len(outcomes) == len(members):
            self._accept(work, members, first, provider)
            return
        for member, outcome in zip(members, outcomes, strict=True):
            self.outcome(work, member, outcome, provider)

    def outcome(self, work: Work, member: int, outcome: Outcome, provider: str) -> None:
        """As `outcomes`, of one."""
        if isinstance(outcome, Accepted):
            self._accept(work, (member,), outcome, provider)
            return
        provider = outcome.provider or provider
        if isinstance(outcome, AddressInvalid):
            self._follow_ups.address_died(work, member)
        batch, body = work.batch, work.body_of(member)
        following = after(
            outcome,
            attempt=batch.attempt,
            call=batch.call,
            free_calls=batch.free_calls,
            unit_id=work.unit_of(member),
            expires_ms=body.expires_ms,
            in_doubt=policy_of(self._terms.rules, body.type),
            now_ms=self._now_ms,
        )
        self._follow(work, member, following, provider, outcome)

    def lost(self, work: Work, member: int, provider: str) -> None:
        """There is an intent, and whoever knew what came of it is gone."""
        batch, body = work.batch, work.body_of(member)
        following = at_take_over(
            attempt=batch.attempt,
            call=batch.call,
            unit_id=work.unit_of(member),
            expires_ms=body.expires_ms,
            in_doubt=policy_of(self._terms.rules, body.type),
            now_ms=self._now_ms,
        )
        self._follow(work, member, following, provider, None)

    def passing(self, work: Work, provider: str) -> list[int]:
        """The members that may go out; the others are settled, or parked until a pause ends."""
        stops, fresh = self._terms.stops, work.fresh
        work.checked_version, work.checked_ms = stops.version, self._now_ms
        stopped = work.stopped(fresh, stops, self._now_ms, provider)
        for place, verdict in stopped.items():
            self.stop(work, fresh[place], verdict)
        return [member for place, member in enumerate(fresh) if place not in stopped]

    def stop(self, work: Work, member: int, verdict: Against) -> None:
        """There is a reason not to call."""
        if isinstance(verdict, Wait):
            self._tell(work, member, "deferred", verdict.reason)
            self._schedule(work, member, verdict.until_ms, work.batch.attempt)
            return
        if isinstance(verdict, Park):
            self._tell(work, member, "deferred", "paused")
            self._follow_ups.park(work, member, verdict.control)
            self._settle(work, member, Stand.SCHEDULED)
            return
        self._tell(work, member, verdict.status, verdict.reason)
        if verdict.reason == "address_gone":
            self._settle(work, member, Stand.GONE)
            self._follow_ups.lost(work, member, Stand.GONE, verdict.reason, is_dead=False)
            return
        if verdict.reason == "too_old":
            self._follow_ups.dead_letter(work, member, verdict.reason)
        self._settle(work, member, Stand.STOPPED)

    def wait_for_token(self, work: Work, member: int, due_ms: int) -> None:
        """No rate token: the same attempt later, without a word, since a queue is no event."""
        if due_ms < work.body_of(member).expires_ms:
            self._schedule(work, member, due_ms, work.batch.attempt)
        else:
            self._tell(work, member, "expired", "ttl")
            self._settle(work, member, Stand.STOPPED)

    def unrenderable(self, work: Work, member: int) -> None:
        self._fail(work, member, "failed", "template_error", "", None, is_dead=True)

    def abandon(self, work: Work) -> Effects:
        """Our own error meets the work: in doubt where a call may have been made, else failed.

        Many that were not called about are tried again in halves, so that only the culprit fails.
        """
        for member in work.doubtful:
            self._tell(work, member, "in_doubt", "stage_error")
            self._settle(work, member, Stand.IN_DOUBT)
        if len(work.fresh) > 1:
            for place, half in enumerate(halves(work.fresh)):
                for member in half:  # the instants differ, or the halves would be one row again
                    self._schedule(work, member, self._now_ms + place, work.batch.attempt)
            return self.effects()
        for member in work.fresh:
            self._tell(work, member, "failed", "stage_error")
            self._settle(work, member, Stand.FAILED)
        effects = self.effects()
        return Effects(effects.rows, effects.records)

    def finish(self, work: Work) -> None:
        """Nothing was left to do for the work."""
        self._touched.setdefault(work, [])

    def intend(self, work: Work, members: Sequence[int]) -> None:
        """A call is about to be made."""
        for member in members:
            work.stands[member] = Stand.INTENT
        self._touched.setdefault(work, []).extend(members)

    def effects(self, *, can_wait: bool = False) -> Effects:
        expires_ms = self._now_ms + LEDGER_RETENTION_MS
        rows = self._rows + self._follow_ups.rows(expires_ms)
        for work, members in self._touched.items():
            if members:
                rows += work.rows(members, expires_ms)
        records = self._follow_ups.records()
        for (fact, _), (body, channel, told) in self._told.items():
            records += self._receipts.targets(fact, body, channel, told)
        done = [work.item for work in self._touched if not work.unsettled]
        return Effects(rows, records, done, can_wait)

    def add_rows(self, rows: Sequence[Row]) -> None:
        """What else belongs to this yield."""
        self._rows += rows

    def __bool__(self) -> bool:
        return bool(self._touched)

    def _follow(
        self, work: Work, member: int, following: Next, provider: str, outcome: Outcome | None
    ) -> None:
        match following:
            case Sent():
                self._settle(work, member, Stand.ACCEPTED)
            case RetryAt():
                if following.is_in_doubt:
                    self._tell(
                        work, member, "in_doubt", following.reason, provider, outcome, is_over=False
                    )
                elif following.attempt > work.batch.attempt:
                    self._tell(work, member, "deferred", following.reason, provider, outcome)
                self._schedule(
                    work,
                    member,
                    following.due_ms,
                    following.attempt,
                    free_calls=following.free_calls,
                )
            case Hold():
                self._terms.on_misconfigured(provider, following.reason)
                attempt = work.batch.attempt
                if work.batch.held_attempt != attempt:  # said once, not at every try
                    self._tell(work, member, "deferred", MISCONFIGURED, provider, outcome)
                self._schedule(work, member, following.due_ms, attempt, is_held=True)
            case Settled(status="failed"):
                is_dead = following.reason == EXHAUSTED
                self._fail(work, member, "failed", following.reason, provider, outcome, is_dead)
            case Settled():
                self._tell(work, member, following.status, following.reason, provider, outcome)
                self._settle(work, member, Stand.STOPPED)
            case InDoubtFor(may_fall_back=True):
                self._fail(work, member, "in_doubt", following.reason, provider, outcome, True)
            case InDoubtFor():
                self._tell(work, member, "in_doubt", following.reason, provider, outcome)
                self._settle(work, member, Stand.IN_DOUBT)
            case _:
                assert_never(following)

    def _schedule(
        self,
        work: Work,
        member: int,
        due_ms: int,
        attempt: int,
        *,
        is_held: bool = False,
        free_calls: int | None = None,
    ) -> None:
        """`free_calls`: None for as many as before."""
        free_calls = work.batch.free_calls if free_calls is None else free_calls
        held_attempt = attempt if is_held else work.batch.held_attempt
        later = Later(due_ms, attempt, held_attempt, free_calls)
        self._follow_ups.schedule(work, member, later)
        self._settle(work, member, Stand.SCHEDULED)

    def _fail(
        self,
        work: Work,
        member: int,
        status: Status,
        reason: str,
        provider: str,
        outcome: Outcome | None,
        is_dead: bool,
    ) -> None:
        self._tell(work, member, status, reason, provider, outcome)
        self._settle(work, member, Stand.FAILED)
        self._follow_ups.lost(work, member, Stand.FAILED, reason, is_dead=is_dead)

    def _accept(self, work: Work, members: Sequence[int], outcome: Accepted, provider: str) -> None:
        self._tell_of(work, members, "sent", "", outcome.provider or provider, outcome)
        self._settle_all(work, members, Stand.ACCEPTED)

    def _settle(self, work: Work, member: int, stand: Stand) -> None:
        self._settle_all(work, (member,), stand)

    def _settle_all(self, work: Work, members: Sequence[int], stand: Stand) -> None:
        work.settle(members, stand)
        self._touched.setdefault(work, []).extend(members)

    def _tell(
        self,
        work: Work,
        member: int,
        status: Status,
        reason: str,
        provider: str = "",
        outcome: Outcome | None = None,
        *,
        is_over: bool = True,
    ) -> None:
        """A receipt. `is_over` is False where a status that ends others is followed by a retry."""
        self._tell_of(work, (member,), status, reason, provider, outcome, is_over=is_over)

    def _tell_of(
        self,
        work: Work,
        members: Sequence[int],
        status: Status,
        reason: str,
        provider: str,
        outcome: Outcome | None,
        *,
        is_over: bool = True,
    ) -> None:
        batch = work.batch
        code = message_id = ""
        if outcome is not None:
            code = outcome.provider_code
            if isinstance(outcome, Accepted):
                message_id = outcome.provider_message_id
        attempt = batch.attempt if provider else 0
        key = (status, reason, batch.round, attempt, provider, code, is_over)
        fact = self._facts.get(key)
        if fact is None:
            fact = self._facts[key] = Fact(
                status, reason,
                round_number=batch.round, attempt=attempt, provider=provider, provider_code=code,
            )  # fmt: skip
            fact.is_final &= is_over
        targets = [batch.targets[member] for member in members]
        if len(batch.bodies) == 1:
            self._told_of(fact, batch.bodies[0], batch.channel).append((message_id, targets))
            return
        for target in targets:
            told = self._told_of(fact, batch.body_of(target), batch.channel)
            told.append((message_id, [target]))

    def _told_of(self, fact: Fact, body: Body, channel: Channel) -> list[Asked]:
        key = fact, id(body)
        if key not in self._told:
            self._told[key] = body, channel, []
        return self._told[key][2]
