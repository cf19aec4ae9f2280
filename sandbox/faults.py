"""Faults on demand: rules from a script or the control API, and addresses that ask for one.

A rule names whom it hits (`provider`, `address` as a glob), how often (`share`, `first`),
when (`after_seconds`, `for_seconds` from its start) and what happens (`effect`):

    answer   the vendor's reply for `code`, with `retry_after_seconds`; not accepted
    delay    accepted at once, answered after `delay_seconds` (a number, or [low, high])
    drop     accepted, then the connection is reset instead of a reply
    hang     accepted, never answered
    slow     accepted, the reply is dribbled byte by byte, `delay_seconds` apart (0.05)
    refuse   the connection is reset before anything is read into the ledger

`accept` overrides what an effect does with the message: `answer` with a 500 and
`accept: true` is the vendor that sent it and then failed. `delay_seconds` may also precede
`answer`, `drop` and `refuse`. The first rule that hits wins. What a rule does to its n-th
match depends only on the seed and n.

Without a rule, an e-mail address or device token that starts with `fail-<word>` gets that
fault each time: `fail-503@example.com`, `fail-unregistered:token`, `fail-drop@example.com`.
Words are the effects above (`delay` is one second) and the provider's codes in any case;
other words mean nothing. Numbers have a table in `sandbox/providers/twilio.py`.
"""

import fnmatch
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

Effect = Literal["answer", "delay", "drop", "hang", "slow", "refuse"]
_EFFECTS: dict[str, Effect] = {
    "delay": "delay", "drop": "drop", "hang": "hang", "slow": "slow", "refuse": "refuse",
}  # fmt: skip
_UNACCEPTED: frozenset[Effect] = frozenset({"answer", "refuse"})
_MAGIC = re.compile(r"fail-([A-Za-z0-9_]+)")


class FaultRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    effect: Effect
    provider: str = "*"
    address: str = "*"
    code: str = "503"
    retry_after_seconds: float | None = None
    delay_seconds: float | tuple[float, float] = 0.0
    accept: bool | None = None
    share: float = 1.0
    first: int | None = None
    """Hit only so many times, then never again."""
    after_seconds: float = 0.0
    for_seconds: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError("share is between 0 and 1")
        if self.effect == "answer" and not self.code:
            raise ValueError("answer needs a code")


class FaultScript(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    faults: list[FaultRule] = []
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """What is to happen to one request."""

    effect: Effect
    is_accepted: bool
    code: str = ""
    retry_after_seconds: float | None = None
    delay_seconds: float = 0.0


@dataclass
class _Running:
    """A rule at work: its own random numbers, so that other rules do not change its draws."""

    id: int
    rule: FaultRule
    started_at: float
    random: random.Random
    seen: int = 0
    hits: int = field(default=0)

    def hit(self, provider: str, addresses: Sequence[str], now: float) -> bool:
        rule = self.rule
        age = now - self.started_at - rule.after_seconds
        if age < 0 or (rule.for_seconds is not None and age >= rule.for_seconds):
            return False
        if not fnmatch.fnmatchcase(provider, rule.provider):
            return False
        if rule.address != "*" and not fnmatch.filter(addresses, rule.address):
            return False
        self.seen += 1
        if rule.first is not None and self.hits >= rule.first:
            return False
        if rule.share < 1 and self.random.random() >= rule.share:
            return False
        self.hits += 1
        return True

    def fault(self) -> Fault:
        rule = self.rule
        delay = rule.delay_seconds
        return Fault(
            rule.effect,
            rule.effect not in _UNACCEPTED if rule.accept is None else rule.accept,
            rule.code,
            rule.retry_after_seconds,
            self.random.uniform(*delay) if isinstance(delay, tuple) else delay,
        )


class Faults:
    """The rules in force, in the order they were added."""

    def __init__(self) -> None:
        self._running: list[_Running] = []
        self._last_id = 0

    def add(self, script: FaultScript, now: float) -> list[int]:
        """Put rules in force from `now`; returns their ids."""
        ids: list[int] = []
        for rule in script.faults:
            self._last_id += 1
            numbers = random.Random(f"{script.seed}:{len(ids)}")
            self._running.append(_Running(self._last_id, rule, now, numbers))
            ids.append(self._last_id)
        return ids

    def remove(self, rule_id: int | None = None) -> int:
        """End one rule, or all of them; returns how many that were."""
        before = len(self._running)
        self._running = [r for r in self._running if rule_id is not None and r.id != rule_id]
        return before - len(self._running)

    def describe(self) -> list[dict[str, object]]:
        return [
            {"id": r.id, "rule": msgspec.to_builtins(r.rule), "seen": r.seen, "hits": r.hits}
            for r in self._running
        ]

    def choose(
        self, provider: str, addresses: Sequence[str], magic: str, now: float
    ) -> Fault | None:
        """The fault of one request, if any; an address that asks for one goes before the rules."""
        if magic:
            return _magic_fault(magic)
        for running in self._running:
            if running.hit(provider, addresses, now):
                return running.fault()
        return None


def magic_word(addresses: Sequence[str]) -> str:
    """The word of the first address that asks for a fault; empty when none does."""
    if "\nfail-" not in "\n" + "\n".join(addresses):  # one search for a batch of a thousand
        return ""
    for address in addresses:
        if match := _MAGIC.match(address):
            return match[1].lower()
    return ""


def _magic_fault(word: str) -> Fault:
    effect = _EFFECTS.get(word)
    if effect is None:
        return Fault("answer", False, code=word)
    delay_seconds = 1.0 if effect == "delay" else 0.0
    return Fault(effect, effect not in _UNACCEPTED, delay_seconds=delay_seconds)


def read_script(path: Path) -> FaultScript:
    """Read a YAML or JSON file.

    Raises:
        ValueError: not a fault script; the message names the field.
    """
    return parse_script(path.read_bytes())


def parse_script(data: bytes) -> FaultScript:
    """Accepts `{seed, faults: [...]}` or the bare list of rules, in YAML or JSON."""
    try:
        loaded: object = msgspec.yaml.decode(data)
        if isinstance(loaded, list):
            loaded = {"faults": loaded}
        return msgspec.convert(loaded, FaultScript)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a fault script: {error}") from error
