"""Templates on disk, compiled whole at start: `<type>/<locale>/<channel>.<part>.j2`.

`default` is the locale that every type must have; the others override it channel by channel,
with all required parts of that channel. A folder whose name begins with `_` holds layouts and
macros for the others. Parts named `html` are escaped; the rest is plain text.

A template sees `data` (what the producer sent) and `recipient` (user_id, name, locale), may
not reach anything else, and fails on a name that does not exist. `data.items` is always the
producer's key, never a method of a Python dict.
"""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, Template, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from schemas.delivery import CHANNELS, Channel

SUFFIX = ".j2"
DEFAULT_LOCALE = "default"
_NAMES = frozenset({"data", "recipient"})


@dataclass(frozen=True, slots=True)
class Parts:
    """What a channel's message consists of."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return self.required + self.optional


PARTS: Mapping[Channel, Parts] = {
    "email": Parts(("subject", "text"), ("html",)),
    "push": Parts(("title", "body"), ("data", "image")),
    "sms": Parts(("text",)),
    "in_app": Parts(("title", "body"), ("data",)),
}


class TemplatesInvalid(Exception):
    """Raised when templates cannot be used; `problems` has one line each, with file and line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Message:
    """The compiled parts of one type, locale and channel."""

    parts: Mapping[str, Template]
    is_personal: bool
    """Says something of the recipient besides the locale, so it is rendered for each of them."""


class Templates:
    """Every message that can be rendered. Raises `TemplatesInvalid` with all problems at once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._environment = _Environment(
            loader=FileSystemLoader(root),
            undefined=StrictUndefined,
            autoescape=_is_html,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            cache_size=-1,
        )
        self._problems: list[str] = []
        self._personal: dict[str, bool] = {}
        self._messages = self._load()
        if self._problems:
            raise TemplatesInvalid(sorted(self._problems))

    def find(self, type_name: str, locale: str, channel: Channel) -> Message | None:
        """The message in the nearest locale: pt-BR, then pt, then the default."""
        tag = locale.replace("_", "-").lower()
        while tag:
            if found := self._messages.get((type_name, tag, channel)):
                return found
            tag = tag.rpartition("-")[0]
        return self._messages.get((type_name, DEFAULT_LOCALE, channel))

    def missing(self, type_name: str, channels: tuple[Channel, ...]) -> list[str]:
        """The files without which this type cannot be sent through these channels."""
        return [
            f"{type_name}/{DEFAULT_LOCALE}/{channel}.{part}{SUFFIX}"
            for channel in channels
            if (type_name, DEFAULT_LOCALE, channel) not in self._messages
            for part in PARTS[channel].required
        ]

    def _load(self) -> dict[tuple[str, str, Channel], Message]:
        found: dict[tuple[str, str, Channel], dict[str, str]] = {}
        for name in sorted(self._environment.list_templates(filter_func=_is_template)):
            self._check(name)
            if name.startswith("_"):
                continue
            match name.split("/"):
                case [type_name, locale, file] if place := _channel_and_part(file):
                    key = (type_name, locale.lower(), place[0])
                    found.setdefault(key, {})[place[1]] = name
                case _:
                    self._problems.append(
                        f"{name}: not <type>/<locale>/<channel>.<part>{SUFFIX} of a known part"
                    )
        return {key: self._message(key, names) for key, names in found.items()}

    def _message(self, key: tuple[str, str, Channel], names: Mapping[str, str]) -> Message:
        type_name, locale, channel = key
        self._problems += [
            f"{type_name}/{locale}: {channel} also needs {channel}.{part}{SUFFIX}"
            for part in PARTS[channel].required
            if part not in names
        ]
        if self._problems:
            return Message(parts={}, is_personal=True)
        return Message(
            parts={part: self._environment.get_template(name) for part, name in names.items()},
            is_personal=any(self._is_personal(name) for name in names.values()),
        )

    def _check(self, name: str) -> None:
        """Everything that can be known about one file before it is rendered."""
        try:
            tree = self._parse(name)
            self._environment.compile(tree, name, name)
        except (TemplateSyntaxError, UnicodeDecodeError) as error:
            line = error.lineno if isinstance(error, TemplateSyntaxError) else 1
            self._problems.append(f"{name}:{line}: {error}".splitlines()[0])
            return
        for reference in meta.find_referenced_templates(tree):
            if reference is None:
                self._problems.append(f"{name}: a referenced template must be named by a constant")
            elif not (self._root / reference).is_file():
                self._problems.append(f"{name}: refers to {reference}, which does not exist")
        if not name.startswith("_"):
            for unknown in meta.find_undeclared_variables(tree) - _NAMES:
                line = next(n.lineno for n in tree.find_all(nodes.Name) if n.name == unknown)
                self._problems.append(
                    f"{name}:{line}: '{unknown}' is not known; expected data or recipient"
                )

    def _parse(self, name: str) -> nodes.Template:
        return self._environment.parse((self._root / name).read_text("utf-8"), name, name)

    def _is_personal(self, name: str) -> bool:
        if name not in self._personal:
            self._personal[name] = False  # ends a circle of includes
            tree = self._parse(name)
            self._personal[name] = _names_recipient(tree) or any(
                self._is_personal(reference)
                for reference in meta.find_referenced_templates(tree)
                if reference is not None
            )
        return self._personal[name]


class _Environment(ImmutableSandboxedEnvironment):
    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        # Copied for each rendering; of the chain that Jinja makes, a copy takes longer than the rest.
        return {**self.globals, **(d or {})}

    def getattr(self, obj: Any, attribute: str) -> Any:
        # Jinja's own order would print a bound method for data.items when the key is missing.
        if isinstance(obj, dict):
            return self.getitem(obj, attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, dict):
            return obj[argument] if argument in obj else self.undefined(obj=obj, name=argument)
        return super().getitem(obj, argument)


def _names_recipient(tree: nodes.Template) -> bool:
    """Whether anything but `recipient.locale` is said of the recipient."""
    uses = sum(name.name == "recipient" for name in tree.find_all(nodes.Name))
    of_locale = sum(
        access.attr == "locale"
        and isinstance(access.node, nodes.Name)
        and access.node.name == "recipient"
        for access in tree.find_all(nodes.Getattr)
    )
    return uses > of_locale


def _channel_and_part(file: str) -> tuple[Channel, str] | None:
    stem = file.removesuffix(SUFFIX)
    for channel in CHANNELS:
        for part in PARTS[channel].all:
            if stem == f"{channel}.{part}":
                return channel, part
    return None


def _is_template(name: str) -> bool:
    return name.endswith(SUFFIX)


def _is_html(name: str | None) -> bool:
    return name is not None and name.endswith(f"html{SUFFIX}")
