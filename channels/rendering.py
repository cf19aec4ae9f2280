"""From a batch's bodies and targets to contents, once per locale wherever nothing is personal."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from channels.base import Content, EmailContent, InAppContent, PushContent, SmsContent
from channels.templates import SUFFIX, Message, Templates
from policies.blame import is_of_the_machine
from schemas.delivery import Channel, DeliveryBatch, Target

MAX_SMS_CHARACTERS = 1600
"""What carriers accept as one message of ten parts; a longer one is refused by every provider."""

_LOCALES = 1024
"""Locales are free text in profiles: bounds what is remembered of them."""


class TemplateError(msgspec.Struct, frozen=True):
    """This delivery cannot be rendered; its receipt gives the reason `template_error`.

    `cause` never quotes data, which may be somebody's secret; so file and line have to do.
    """

    template: str
    line: int
    cause: str


class Rendering:
    """Renders what a sender is handed. Never raises for a template or data that do not fit."""

    def __init__(self, templates: Templates) -> None:
        self._find = lru_cache(_LOCALES)(templates.find)

    def render(
        self, batch: DeliveryBatch, targets: Sequence[Target]
    ) -> list[Content | TemplateError]:
        """One per target, in order; `targets` are some of the batch's.

        Targets that share a body and a locale share the content *object*, unless it is
        personal. A personal one takes some 40 µs a target, so slice accordingly.
        """
        kinds = [(target.body, target.locale) for target in targets]
        contents = {kind: self._content(batch, *kind) for kind in dict.fromkeys(kinds)}
        return [
            content(target) if callable(content := contents[kind]) else content
            for kind, target in zip(kinds, targets, strict=True)
        ]

    def _content(
        self, batch: DeliveryBatch, place: int, locale: str
    ) -> Content | TemplateError | Callable[[Target], Content | TemplateError]:
        """Of all that share body and locale; where it is personal, what makes it for each."""
        channel, body = batch.channel, batch.bodies[place]
        message = self._find(body.type, locale, channel)
        if message is None:
            return _no_template(body.type, channel)
        if not message.is_personal:
            return _content(channel, message, body.data, _recipient("", "", locale))
        return lambda target: _content(
            channel, message, body.data, _recipient(target.user_id, target.name, locale)
        )


def _recipient(user_id: str, name: str, locale: str) -> dict[str, str]:
    """What a template may know of whom it is for; a dict, which the sandbox reads fastest."""
    return {"user_id": user_id, "name": name, "locale": locale}


def _content(
    channel: Channel, message: Message, data: Mapping[str, Any], recipient: dict[str, str]
) -> Content | TemplateError:
    name = ""
    texts: dict[str, str] = {}
    try:
        for part, template in message.parts.items():
            name = template.name or part
            texts[part] = template.render(data=data, recipient=recipient).strip()
        return _BUILD[channel](texts)
    except _Unfit as unfit:
        template_name = message.parts[unfit.part].name or unfit.part
        return TemplateError(template_name, 1, unfit.cause)
    except Exception as error:  # a template is a program: whatever it raises is this delivery's
        line = _line_of(error)
        if is_of_the_machine(error):
            raise
        return TemplateError(name, line, type(error).__name__)


class _Unfit(Exception):
    """Raised when what was rendered is no message."""

    def __init__(self, part: str, cause: str) -> None:
        super().__init__(cause)
        self.part = part
        self.cause = cause


def _email(texts: Mapping[str, str]) -> EmailContent:
    return EmailContent(
        subject=_line(texts, "subject"), text=_text(texts, "text"), html=texts.get("html", "")
    )


def _push(texts: Mapping[str, str]) -> PushContent:
    return PushContent(
        title=_line(texts, "title"),
        body=_text(texts, "body"),
        data=_data(texts),
        image=texts.get("image", ""),
    )


def _sms(texts: Mapping[str, str]) -> SmsContent:
    text = _text(texts, "text")
    if len(text) > MAX_SMS_CHARACTERS:
        raise _Unfit("text", f"{len(text)} characters are more than {MAX_SMS_CHARACTERS}")
    return SmsContent(text)


def _in_app(texts: Mapping[str, str]) -> InAppContent:
    return InAppContent(title=_line(texts, "title"), body=_text(texts, "body"), data=_data(texts))


_BUILD: Mapping[Channel, Callable[[Mapping[str, str]], Content]] = {
    "email": _email,
    "push": _push,
    "sms": _sms,
    "in_app": _in_app,
}


def _text(texts: Mapping[str, str], part: str) -> str:
    if not texts[part]:
        raise _Unfit(part, "renders to nothing")
    return texts[part]


def _line(texts: Mapping[str, str], part: str) -> str:
    """One line: a line break that data brings in would begin a new header of an e-mail."""
    text = _text(texts, part)
    if text.isprintable():
        return text
    if line := " ".join("".join(c if c.isprintable() else " " for c in text).split()):
        return line
    raise _Unfit(part, "renders to nothing")


def _data(texts: Mapping[str, str]) -> Mapping[str, str]:
    if not (text := texts.get("data")):
        return {}
    try:
        values = msgspec.json.decode(text, type=dict[str, str | int | float | bool])
    except msgspec.MsgspecError:
        raise _Unfit("data", "is not a JSON object of plain values") from None
    return {
        key: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for key, value in values.items()
    }


def _no_template(type_name: str, channel: Channel) -> TemplateError:
    return TemplateError(f"{type_name}/{channel}.*{SUFFIX}", 0, "there is no template")


def _line_of(error: Exception) -> int:
    """Where in the template: Jinja gives its frames the template's file and line."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(SUFFIX):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
