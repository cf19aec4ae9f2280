"""L5, limits: of a provider in every window, of a person in theirs; and held only when reached."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from proof.checker.cases import Delivery
from proof.checker.evidence import CHANNELS
from proof.checker.hearing import Hearing
from proof.checker.instants import local_day, ms_of
from proof.checker.oracle import SLACK_MS
from proof.checker.people import Words, possible
from proof.checker.rules import Category, Rules
from proof.checker.verdict import Violation

_SLOTS = 12
"""What was used comes back up to a twelfth of the window late."""

_UNLIMITED = 1 << 60


class Passed(NamedTuple):
    """A delivery that was decided for, and so counts."""

    at_ms: int
    category: Category
    delivery: Delivery


def rates(rules: Rules, calls: Mapping[str, list[int]]) -> Iterator[Violation]:
    """Of all requests that providers had, taken or not: when, by what limits them."""
    for line, at in calls.items():
        if line in rules.rates:
            yield from _too_fast(line, sorted(at), *rules.rates[line])


def caps(hearing: Hearing) -> Iterator[Violation]:
    groups: defaultdict[tuple[str, str], list[Delivery]] = defaultdict(list)
    refused = [each for each in hearing.others if _is_refused(each)]
    least = {channel: _least_limit(hearing.rules, channel) for channel in CHANNELS}
    limited = {channel for channel, limit in least.items() if limit != _UNLIMITED}
    users = hearing.people.with_limits.union(each.user_id for each in refused)
    for each in hearing.cases.deliveries.values():
        if each.channel in limited or each.user_id in users:
            groups[each.user_id, each.channel].append(each)
    for key, some in groups.items():
        if len(some) > least.get(key[1], _UNLIMITED) or _own_words(hearing, *key):
            passed = _passed(hearing, some)
            yield from _rate_of(hearing, *key, passed)
            yield from _days_of(hearing, *key, passed)
    for delivery in refused:
        passed = _passed(hearing, groups[delivery.user_id, delivery.channel])
        yield from _refused_too_soon(hearing, delivery, passed)


def _least_limit(rules: Rules, channel: str) -> int:
    """Who was reached less often than that has met no limit."""
    limits = [kind.category.daily_limit.get(channel) for kind in rules.kinds.values()]
    if channel in rules.per_user:
        limits.append(rules.per_user[channel][0])
    return min((each for each in limits if each is not None), default=_UNLIMITED)


def least_allowed(hearing: Hearing, user_id: str, channel: str) -> int:
    """The least that any limit allows which may ever hold for them."""
    own: list[int | None] = [each.value for each in _own_words(hearing, user_id, channel)]
    said = [each for each in own if each is not None]
    return min([*said, _least_limit(hearing.rules, channel)])


def _own_words(hearing: Hearing, user_id: str, channel: str) -> Words:
    return hearing.people.of(user_id).of(f"{channel}.daily_limit")


def _own_limits(hearing: Hearing, user_id: str, channel: str, at_ms: int) -> list[int | None]:
    """All that may have been held against what was sent then; None: whoever is deleted has none."""
    words = _own_words(hearing, user_id, channel)
    found = possible(words, hearing.oracle.known_ms(at_ms), at_ms)
    return [*found, None] if hearing.people.of(user_id).deleted else found


def _is_refused(delivery: Delivery) -> bool:
    return any(each.reason in ("rate_limited", "daily_limit") for each in delivery.receipts)


def _passed(hearing: Hearing, some: Iterable[Delivery]) -> list[Passed]:
    found = []
    for each in some:
        kind, at_ms = hearing.kind_of(each), each.passed_ms()
        if kind is not None and at_ms is not None:
            found.append(Passed(at_ms, kind.category, each))
    return sorted(found, key=lambda each: each.at_ms)


def _too_fast(line: str, at: list[int], count: int, window_ms: int) -> Iterator[Violation]:
    for first, last in zip(at, at[count:], strict=False):
        if last - first < window_ms:
            words = f"{line}: more than {count} within {last - first} ms"
            yield Violation("L5", words, (f"from {first}",))
            return


def _rate_of(
    hearing: Hearing, user_id: str, channel: str, some: list[Passed]
) -> Iterator[Violation]:
    limit = hearing.rules.per_user.get(channel)
    if limit is not None and len(some) > limit[0]:
        at = [each.at_ms for each in some]
        for each in _too_fast(f"{user_id} by {channel}", at, *limit):
            yield Violation("L5", each.words, (*each.ids, f"user {user_id}"))


def _days_of(
    hearing: Hearing, user_id: str, channel: str, some: list[Passed]
) -> Iterator[Violation]:
    """By the calendar where the user is, if that is known."""
    days: defaultdict[tuple[int, str], int] = defaultdict(int)
    for at_ms, category, delivery in some:
        zones = set(hearing.oracle.zones(hearing.matter_of(delivery)))
        if category.mandatory or len(zones) > 1:
            continue
        day = local_day(at_ms, zones.pop())
        wanted = _own_limits(hearing, user_id, channel, at_ms)
        set_by_them = [each for each in wanted if each is not None]
        for name, allowed in (
            (category.name, category.daily_limit.get(channel)),
            ("", max(set_by_them) if len(set_by_them) == len(wanted) else None),
        ):
            days[day, name] += 1
            if allowed is not None and days[day, name] > allowed:
                words = f"{user_id} by {channel}: more than {allowed} {name} on one day"
                yield Violation("L5", words, delivery.ids)


def _refused_too_soon(
    hearing: Hearing, delivery: Delivery, some: list[Passed]
) -> Iterator[Violation]:
    """A limit holds somebody back only where it is reached: by what was decided before, or while the
    batch was under way, whose receipts all tell the instant at which it began."""
    for receipt in delivery.receipts:
        at_ms = ms_of(receipt.occurred_at)
        until_ms = at_ms + SLACK_MS + hearing.circumstances.askew_ms
        if receipt.reason == "rate_limited":
            limit = hearing.rules.per_user.get(delivery.channel)
            if limit is None:
                yield Violation("L5", "rate_limited, and there is no such limit", delivery.ids)
                continue
            count, window_ms = limit
            since_ms = at_ms - window_ms - window_ms // _SLOTS - 1000
            reached = _between(some, since_ms, until_ms)
        elif receipt.reason == "daily_limit":
            matter = hearing.matter_of(delivery)
            zones = hearing.oracle.zones(matter)
            own = _own_limits(hearing, delivery.user_id, delivery.channel, at_ms)
            of_category = matter.kind.category.daily_limit.get(delivery.channel)
            count = min((each for each in (*own, of_category) if each is not None), default=0)
            reached = sum(
                each.at_ms <= until_ms and local_day(each.at_ms, zone) >= local_day(at_ms, zone)
                for each in some
                for zone in zones[:1]
            )
        else:
            continue
        if reached < count:
            words = f"{receipt.reason} after {reached} of {count}"
            yield Violation("L5", words, delivery.ids)


def _between(some: list[Passed], since_ms: int, until_ms: int) -> int:
    at = [each.at_ms for each in some]
    return bisect_right(at, until_ms) - bisect_left(at, since_ms)
