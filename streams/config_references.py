"""What one part of `faust.yaml` says about another must fit; what is misspelt elsewhere is not
said twice. Works on the file as written, so that these faults are told together with all others."""

from collections.abc import Iterator, Mapping
from typing import Any

from channels.catalogue import PROVIDERS
from schemas.delivery import CHANNELS
from streams.config_errors import expected_keys
from streams.config_values import Place, Problem


def faults(tree: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _types(tree)
    yield from _categories(tree)
    yield from _channels(tree)
    yield from _ingress(tree)


def _types(tree: Mapping[str, Any]) -> Iterator[Problem]:
    categories, ways = _mapping(tree, "categories"), _mapping(tree, "channels")
    for name, each in _mapping(tree, "types").items():
        kind = each if isinstance(each, dict) else {}
        category = kind.get("category")
        if isinstance(category, str) and category not in categories:
            yield ("types", name, "category"), _unknown("category", category, list(categories))
        chosen = _list(kind, "channels")
        for member in ("channels", "fallback"):
            for number, channel in enumerate(_list(kind, member)):
                place = ("types", name, member, number)
                if channel not in CHANNELS:
                    continue  # its shape is at fault, which is told already
                if channel != "in_app" and channel not in ways:
                    yield place, f"{channel} has no providers: name them in channels.{channel}"
                elif channel in _list(kind, member)[:number]:
                    yield place, f"{channel} is named twice"
                elif member == "fallback" and channel in chosen:
                    yield place, f"{channel} is one of its channels already, so no fallback"


def _categories(tree: Mapping[str, Any]) -> Iterator[Problem]:
    categories = _mapping(tree, "categories")
    for name in _mapping(tree, "defaults"):
        if name not in {"timezone", "locale", "channels", *categories}:
            known = ["timezone", "locale", "channels", *categories]
            yield ("defaults", name), expected_keys(name, known)
    for name, each in categories.items():
        if isinstance(each, dict) and each.get("mandatory") and each.get("daily_limit"):
            yield ("categories", name, "daily_limit"), "a mandatory category has no daily limit"


def _channels(tree: Mapping[str, Any]) -> Iterator[Problem]:
    configured = _mapping(tree, "providers")
    for channel, each in _mapping(tree, "channels").items():
        for number, name in enumerate(_list(each, "providers")):
            place = ("channels", channel, "providers", number)
            fitting = [known for known, what in PROVIDERS.items() if what.channel == channel]
            if name not in fitting:
                yield place, _unknown(f"provider of {channel}", name, fitting)
            elif name not in configured:
                yield place, f"{name} has no settings: give them in providers.{name}"
    holders: dict[str, str] = {}
    for name, each in _mapping(_mapping(_mapping(tree, "channels"), "sms"), "senders").items():
        sender = each.get("number") if isinstance(each, dict) else None
        if isinstance(sender, str):
            if sender in holders:
                at: Place = ("channels", "sms", "senders", name, "number")
                yield at, f"{holders[sender]} has it already"
            holders.setdefault(sender, name)


def _ingress(tree: Mapping[str, Any]) -> Iterator[Problem]:
    seen: list[object] = []
    for number, each in enumerate(_list(tree, "ingress")):
        topic = each.get("topic") if isinstance(each, dict) else None
        if topic in seen:
            yield ("ingress", number, "topic"), f"{topic} is named twice"
        seen.append(topic)


def _unknown(what: str, given: object, known: list[str]) -> str:
    return f"expected a {what} ({', '.join(known) or 'none is declared'}), got {given!r}"


def _mapping(tree: Any, key: str) -> Mapping[str, Any]:
    value = tree.get(key) if isinstance(tree, dict) else None
    return value if isinstance(value, dict) else {}


def _list(tree: Any, key: str) -> list[Any]:
    value = tree.get(key) if isinstance(tree, dict) else None
    return value if isinstance(value, list) else []
