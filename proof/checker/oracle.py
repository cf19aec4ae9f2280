"""What may become of one notification for one user by one channel: the policy in plain words.

The questions of a decision in their order, each answered NEVER, MAYBE or ALWAYS: what cannot be
known from outside (an opt-out that races a decision) leaves several ends open, and the first
ALWAYS settles it. Shares no code with `policies/`, and must come to the same answers.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from typing import Any, NamedTuple

from proof.checker.evidence import Asked, Evidence, Receipt
from proof.checker.instants import first_free_ms, inverted, is_inside, ms_of, next_day_ms
from proof.checker.people import ADDRESS_FIELDS, People, Person, possible
from proof.checker.rules import Kind
from proof.checker.troubles import BROKER, Troubles

End = tuple[str, str]
"""Status and reason."""
SENT: End = ("sent", "")
NO_ADDRESS: End = ("rejected", "no_address")
ADDRESS_GONE: End = ("suppressed", "address_gone")
REFUSED_ADDRESS: tuple[End, ...] = (
    ("failed", "address_invalid"),
    ("failed", "rejected_by_provider"),
)
SLACK_MS = 1_500
"""Between the look at a clock and what is told of it."""
SKEW_MS = 10_000
"""What came so long before a decision may still be news to it, for a sender whose clock is another."""


class Sure(IntEnum):
    NEVER = 0
    MAYBE = 1
    ALWAYS = 2


Answer = tuple[Sure, Iterable[End]]
Night = tuple[str, tuple[str, ...]]


def sure(values: Iterable[Any], holds: Callable[[Any], bool]) -> Sure:
    """Whether it holds for all of the possible values, for some or for none."""
    answers = {holds(each) for each in values}
    if len(answers) == 2:
        return Sure.MAYBE
    return Sure.ALWAYS if True in answers else Sure.NEVER


class Matter(NamedTuple):
    """What is asked about."""

    said: Asked
    at_ms: int
    """When the broker had it."""
    kind: Kind
    user_id: str
    channel: str
    until_ms: int
    """When the last of it was told, or the evidence was taken."""
    known_ms: int
    """What had come by then counted when it was decided; see `Oracle.known_ms`."""
    prompt_ms: int = 0
    """Likewise, of what its user had said in their own partition; 0 where it is not sure."""
    is_fallback: bool = False


def expires_ms(said: Asked, at_ms: int, kind: Kind) -> int:
    if said.expires_at is not None:
        return ms_of(said.expires_at)
    if said.ttl_seconds is None and said.send_at is None and said.requested_at is None:
        return at_ms + kind.ttl_ms
    asked_ms = at_ms if said.requested_at is None else ms_of(said.requested_at)
    if said.ttl_seconds is not None:
        return asked_ms + said.ttl_seconds * 1000
    return max(asked_ms, send_ms(said)) + kind.ttl_ms


def send_ms(said: Asked) -> int:
    return 0 if said.send_at is None else ms_of(said.send_at)


class Oracle:
    def __init__(self, found: Evidence, people: People) -> None:
        self._rules = found.rules
        self._people = people
        self._lag_ms = found.circumstances.lag_ms
        self._prompt_ms = min(self._lag_ms, found.circumstances.prompt_ms)
        blows = found.circumstances.blows
        self._silences = sorted(each.at_ms for each in blows if each.role == BROKER)
        self._known = sorted(each.at_ms for each in found.known)
        self._troubles = Troubles(found.circumstances)
        self._has_receipts = found.circumstances.has_receipts
        self._called_off = defaultdict[tuple[str, str, str], list[int]](list)
        for each in sorted(found.cancellations, key=lambda each: each.at_ms):
            self._called_off[each.tenant, each.user_id, each.key].append(each.at_ms)

    def ends(self, matter: Matter) -> frozenset[End]:
        """All that are allowed; never empty."""
        allowed: set[End] = set()
        for answer, ends in self._questions(matter):
            if answer is not Sure.NEVER:
                allowed.update(ends)
            if answer is Sure.ALWAYS:
                break
        return frozenset(allowed)

    def doubts(self, channel: str, from_ms: int, until_ms: int) -> frozenset[str]:
        """Why a call of this span may be in doubt, for the time being or for good."""
        ends = self._troubles.ends(channel, from_ms - SLACK_MS, until_ms + SLACK_MS)
        return frozenset(reason for status, reason in ends if status == "in_doubt")

    def known_ms(self, at_ms: int) -> int:
        """What had come by then counts in a decision at this instant."""
        place = bisect_right(self._known, at_ms)
        return max(at_ms - self._lag_ms, self._known[place - 1] - 1 if place else 0)

    def prompt_ms(self, user_id: str, at_ms: int) -> int:
        """What the user had said by then in their own partition counts in a decision at this instant. Of
        whoever was ever deleted it is not sure what of it is left."""
        if self._people.of(user_id).deleted:
            return 0
        # A broker that does not answer may have told of the request and not yet of what came before.
        place = bisect_left(self._silences, at_ms - self._lag_ms)
        return min([at_ms, *self._silences[place : place + 1]]) - self._prompt_ms

    def is_known(self, came_ms: int, at_ms: int) -> bool:
        """Whether a decision at this instant counts in what had come then."""
        return came_ms + self._lag_ms <= at_ms or came_ms <= self.known_ms(at_ms)

    def called_off_ms(self, said: Asked, at_ms: int) -> int | None:
        """When the request that the broker had then, or the broadcast, was called off: after it, or less
        than a window before it. What is older was about another with the same key."""
        if not self._called_off:  # nobody ever did, and there are millions to ask about
            return None
        moments = self._called_off.get((said.tenant, said.user_id, said.idempotency_key or ""), ())
        return next((each for each in moments if at_ms - each < self._rules.dedup_ms), None)

    def holds_back(self, matter: Matter, last: Receipt) -> bool:
        """Whether it still waits at `until_ms`, and says so: by what was told of it last, for an instant
        that is yet to come. Nothing waits beyond its expiry."""
        if last.status != "deferred":
            return False
        if expires_ms(matter.said, matter.at_ms, matter.kind) <= matter.until_ms:
            return False
        earlier_ms = matter.until_ms - self._lag_ms
        return any(each > earlier_ms for each in self._waits_until(matter, last))

    def _waits_until(self, matter: Matter, last: Receipt) -> Iterator[int]:
        told_ms = ms_of(last.occurred_at)
        match last.reason:
            case "scheduled":
                yield send_ms(matter.said)
            case "quiet_hours" | "legal_window":
                for night in self._nights(matter):
                    yield first_free_ms(told_ms, *night)
            case "daily_limit" if matter.kind.category.over_limit == "defer":
                for zone in self.zones(matter):
                    yield next_day_ms(told_ms, zone)

    def may_be_awake(self, matter: Matter, moments: Iterable[int]) -> bool:
        """Whether, as far as is known, one of the instants was no time to be left alone."""
        return any(
            not any(is_inside(at_ms, zone, span) for span in spans)
            for zone, spans in self._nights(matter)
            for at_ms in moments
        )

    def zones(self, matter: Matter) -> list[str]:
        inline = matter.said.recipient
        if inline is not None and inline.timezone:
            return [inline.timezone]
        said = self._wishes(matter, "timezone", "")
        return [each or self._rules.timezone for each in said]

    def _questions(self, matter: Matter) -> Iterator[Answer]:
        said, kind, channel = matter.said, matter.kind, matter.channel
        category, expiry_ms = kind.category, expires_ms(said, matter.at_ms, kind)
        if channel not in kind.channels and not matter.is_fallback:
            yield Sure.ALWAYS, [("rejected", "channel_not_in_type")]
        yield self._is_called_off(matter), [("cancelled", "cancelled")]
        yield self._passes(expiry_ms, matter), [("expired", "ttl")]
        if send_ms(said) >= expiry_ms:
            yield Sure.ALWAYS, [("expired", "scheduled")]
        yield from self._bars(matter)
        if not category.mandatory:
            wishes = self._wishes(matter, f"{channel}.enabled")
            yield sure(wishes, lambda on: on is False), [("suppressed", "opted_out_channel")]
            if not self._rules.is_on_by_default(category.name, channel):
                yield sure(wishes, lambda on: on is None), [("suppressed", "off_by_default")]
            types = self._wishes(matter, f"types.{kind.name}")
            yield sure(types, lambda on: on is False), [("suppressed", "opted_out_type")]
        yield from self._addresses(matter)
        yield from self._limits(matter)
        asked = max(matter.at_ms, send_ms(said)), matter.until_ms
        for night in self._nights(matter):
            if any(first_free_ms(at_ms, *night) >= expiry_ms for at_ms in asked):
                yield Sure.MAYBE, [("expired", "legal_window"), ("expired", "quiet_hours")]
        if not said.data.number:
            yield Sure.ALWAYS, [("failed", "template_error")]
        if self._has_receipts:  # trouble excuses an end that is told, nobody's silence
            yield Sure.MAYBE, self._troubles.ends(channel, matter.at_ms, matter.until_ms)
        yield Sure.ALWAYS, [SENT]

    def _nights(self, matter: Matter) -> list[Night]:
        """All that may hold: a zone, and the spans of its day in which nothing may go out."""
        category, rules = matter.kind.category, self._rules
        hours = [""]
        if category.quiet_hours:
            hours = self._wishes(matter, f"{matter.channel}.quiet_hours", "")
        is_legal = category.legal_windows and matter.channel in rules.legal_channels
        nights = []
        for zone in self.zones(matter):
            bar = inverted(rules.legal_by_zone.get(zone, rules.legal_window))
            legal = (bar,) if is_legal else ()
            nights += [(zone, (*legal, each) if each else legal) for each in hours]
        return nights

    def _is_called_off(self, matter: Matter) -> Sure:
        came_ms = self.called_off_ms(matter.said, matter.at_ms)
        if came_ms is None or came_ms > matter.until_ms + SLACK_MS:
            return Sure.NEVER
        return Sure.ALWAYS if came_ms <= matter.known_ms else Sure.MAYBE

    def _passes(self, expiry_ms: int, matter: Matter) -> Sure:
        """Whether its time was over before it could be told, or would have been in the line of
        those that wait for a provider's rate."""
        if expiry_ms <= matter.at_ms:
            return Sure.ALWAYS
        is_near = expiry_ms <= matter.until_ms + max(SLACK_MS, self._lag_ms)
        return Sure.MAYBE if is_near else Sure.NEVER

    def _bars(self, matter: Matter) -> Iterator[Answer]:
        end = [("suppressed", "suppressed_address")]
        field = ADDRESS_FIELDS.get(matter.channel, "")
        bars = self._possible(matter, f"bar:{matter.channel}", 0)
        moments = (matter.at_ms, matter.until_ms)
        answer = sure([bar > at_ms for bar in bars for at_ms in moments], bool)
        if len(set(self._possible(matter, field, ""))) > 1:
            answer = min(answer, Sure.MAYBE)  # another address, which nothing is said against
        if self._people.of(matter.user_id).deleted:
            answer = min(answer, Sure.MAYBE)  # whoever comes back hears of it by way of the address
        yield answer, end
        if self._may_be_dead(matter):
            yield Sure.MAYBE, end

    def _addresses(self, matter: Matter) -> Iterator[Answer]:
        person, inline = self._people.of(matter.user_id), matter.said.recipient
        if person.deleted:
            since_ms = max(each.came_ms for each in person.deleted)
            is_gone = person.gone_ms is not None and person.gone_ms <= matter.known_ms
            if since_ms + SKEW_MS + self._lag_ms + SLACK_MS > matter.at_ms:
                yield Sure.MAYBE, [ADDRESS_GONE]
            yield Sure.ALWAYS if is_gone and not inline else Sure.MAYBE, [NO_ADDRESS]
        if matter.channel == "push":
            devices = self._devices(matter, person).values()
            present, is_changing = max(devices, default=Sure.NEVER), Sure.MAYBE in devices
        elif matter.channel in ADDRESS_FIELDS:
            field = ADDRESS_FIELDS[matter.channel]
            known = set(self._possible(matter, field, ""))
            present = sure(known, bool)
            # Senders hear of no import: what another said of late speaks against its address.
            is_changing = len(known) > 1 or len({each.is_tailed for each in person.of(field)}) > 1
            if inline is not None and getattr(inline, field):
                present = Sure.ALWAYS
        else:
            return
        if is_changing:
            yield Sure.MAYBE, [ADDRESS_GONE]
        if present is not Sure.ALWAYS:
            yield Sure(2 - present), [NO_ADDRESS]
        if self._may_be_dead(matter):
            yield Sure.MAYBE, [NO_ADDRESS, ADDRESS_GONE, *REFUSED_ADDRESS]

    def sure_devices(self, matter: Matter) -> set[str]:
        """Those that it must have been sent to, where it was sent to any."""
        person = self._people.of(matter.user_id)
        if person.deleted or self._may_be_dead(matter):
            return set()
        devices = self._devices(matter, person).items()
        return {device_id for device_id, answer in devices if answer is Sure.ALWAYS}

    def _devices(self, matter: Matter, person: Person) -> dict[str, Sure]:
        """Of each, whether it is there, and nobody else has its token."""
        answers = {}
        for about in person.devices():
            tokens = self._possible(matter, about, "")
            answer = sure(tokens, bool)
            for token in filter(None, tokens):
                holders = self._holders(token, matter)
                answer = min(answer, sure(holders, lambda who: who == matter.user_id))
            is_changing = len(set(tokens)) > 1
            answers[about.partition(":")[2]] = Sure.MAYBE if is_changing else answer
        return answers

    def _limits(self, matter: Matter) -> Iterator[Answer]:
        """How often somebody was reached is held against these by `invariants/limits.py`."""
        category, channel = matter.kind.category, matter.channel
        if channel in self._rules.per_user:
            yield Sure.MAYBE, [("suppressed", "rate_limited")]
        own = set(self._wishes(matter, f"{channel}.daily_limit")) - {None}
        if not category.mandatory and (channel in category.daily_limit or own):
            status = "suppressed" if category.over_limit == "suppress" else "expired"
            yield Sure.MAYBE, [(status, "daily_limit")]

    def _may_be_dead(self, matter: Matter) -> bool:
        return self._troubles.is_dead(self._people.of(matter.user_id), matter.channel)

    def wishes(self, matter: Matter, about: str, until_ms: int, unsaid: Any = None) -> list[Any]:
        """What may have been taken for the user's wish in a decision made until then. Of whoever was
        ever deleted it may be gone with them."""
        person, until_ms = self._people.of(matter.user_id), until_ms + SLACK_MS
        words, known_ms = person.of(about), matter.known_ms
        found = possible(words, known_ms, until_ms, unsaid, prompt_ms=matter.prompt_ms)
        return [*found, unsaid] if person.deleted else found

    def _wishes(self, matter: Matter, about: str, unsaid: Any = None) -> list[Any]:
        return self.wishes(matter, about, matter.until_ms, unsaid)

    def _possible(self, matter: Matter, about: str, unsaid: Any = None) -> list[Any]:
        """Of an address, or what bars it."""
        words, until_ms = self._people.of(matter.user_id).of(about), matter.until_ms + SLACK_MS
        return possible(words, matter.known_ms, until_ms, unsaid, prompt_ms=matter.prompt_ms)

    def _holders(self, token: str, matter: Matter) -> list[Any]:
        words = self._people.holders(token)
        return possible(words, matter.known_ms, matter.until_ms + SLACK_MS)
