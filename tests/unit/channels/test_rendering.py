"""From bodies and targets to contents: once per locale, and a failure is one delivery's alone."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from channels.base import Content, EmailContent, PushContent, SmsContent
from channels.rendering import Rendering, TemplateError
from channels.templates import Templates
from schemas.delivery import Body, Channel, DeliveryBatch, Target

Make = Callable[[Mapping[str, str]], Rendering]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make(files: Mapping[str, str]) -> Rendering:
        for name, text in files.items():
            path = tmp_path / "t" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return Rendering(Templates(tmp_path))

    return make


def target(user_id: str = "u1", *, body: int = 0, locale: str = "", name: str = "") -> Target:
    return Target(user_id, b"n" * 16, b"d" * 16, "address", body=body, locale=locale, name=name)


def render(
    rendering: Rendering,
    channel: Channel,
    *data: dict[str, Any],
    targets: list[Target] | None = None,
) -> list[Content | TemplateError]:
    bodies = [Body("t", "c", values, 0) for values in data]
    targets = targets or [target(body=number) for number in range(len(bodies))]
    return rendering.render(DeliveryBatch(channel, "normal", bodies, targets, 0), targets)


def test_targets_of_one_locale_share_one_content_object(make: Make) -> None:
    rendering = make({"default/sms.text.j2": "{{ data.x }}", "de/sms.text.j2": "de {{ data.x }}"})
    targets = [target(f"u{n}", locale=("en", "de")[n % 2]) for n in range(1000)]

    contents = render(rendering, "sms", {"x": "1"}, targets=targets)

    assert contents[:2] == [SmsContent("1"), SmsContent("de 1")]
    assert len({id(content) for content in contents}) == 2


def test_personal_content_is_rendered_for_each_recipient(make: Make) -> None:
    rendering = make({"default/sms.text.j2": "Hi {{ recipient.name }} ({{ recipient.user_id }})"})
    targets = [target("u1", name="Ann"), target("u2", name="Ben")]

    contents = render(rendering, "sms", {}, targets=targets)

    assert contents == [SmsContent("Hi Ann (u1)"), SmsContent("Hi Ben (u2)")]


def test_a_template_that_does_not_render_fails_its_own_delivery_only(make: Make) -> None:
    rendering = make({"default/sms.text.j2": "total:\n{{ data.total }}"})

    contents = render(rendering, "sms", {"total": 1}, {}, {"total": 3})

    assert contents == [
        SmsContent("total:\n1"),
        TemplateError("t/default/sms.text.j2", 2, "UndefinedError"),
        SmsContent("total:\n3"),
    ]


def test_a_template_is_not_to_blame_for_a_machine_without_memory(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendering = make({"default/sms.text.j2": "{{ 'x' * data.times }}"})
    too_much = {"times": 10**18}
    assert render(rendering, "sms", too_much) == [
        TemplateError("t/default/sms.text.j2", 1, "MemoryError")
    ]

    monkeypatch.setattr("policies.blame._MODEST_BYTES", 10**18)

    with pytest.raises(MemoryError):
        render(rendering, "sms", too_much)


@pytest.mark.parametrize(
    ("text", "data", "cause"),
    [
        ("{{ data.a + data.b }}", {"a": "hush", "b": 1}, "TypeError"),
        ("{{ data[data.a] }}", {"a": "hush"}, "UndefinedError"),
        ("{{ data.a.__class__.__mro__ }}", {"a": "x"}, "SecurityError"),
        ("{{ data.a | int // 0 }}", {"a": "1"}, "ZeroDivisionError"),
        ("{{ data.keys }}", {}, "UndefinedError"),
        ("{% for x in range(10 ** 9) %}x{% endfor %}", {}, "OverflowError"),
        ("  {{ data.a }} ", {"a": ""}, "renders to nothing"),
        ("{{ data.a * 200 }}", {"a": "123456789"}, "1800 characters are more than 1600"),
    ],
)
def test_whatever_a_template_does_is_a_template_error(
    make: Make, text: str, data: dict[str, Any], cause: str
) -> None:
    (content,) = render(make({"default/sms.text.j2": text}), "sms", data)

    assert isinstance(content, TemplateError)
    assert cause in content.cause
    assert "hush" not in content.cause


def test_a_type_without_template_for_the_channel_is_a_template_error(make: Make) -> None:
    (content,) = render(make({"default/sms.text.j2": "x"}), "email", {})

    assert content == TemplateError("t/email.*.j2", 0, "there is no template")


def test_html_is_escaped_and_text_is_not(make: Make) -> None:
    rendering = make({
        "default/email.subject.j2": "{{ data.x }}",
        "default/email.text.j2": "{{ data.x }}",
        "default/email.html.j2": "<p>{{ data.x }}</p>",
    })  # fmt: skip

    (content,) = render(rendering, "email", {"x": "<b>&"})

    assert content == EmailContent("<b>&", "<b>&", "<p>&lt;b&gt;&amp;</p>")


@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r", "\v", "\x00", "\x85", "\u2028"])
def test_a_subject_stays_one_line_whatever_data_brings_in(make: Make, line_break: str) -> None:
    rendering = make({"default/email.subject.j2": "Re: {{ data.x }}", "default/email.text.j2": "x"})

    (content,) = render(rendering, "email", {"x": f"hi{line_break}Bcc: all@example.com"})

    assert content == EmailContent("Re: hi Bcc: all@example.com", "x")


def test_push_data_is_a_json_object_of_strings(make: Make) -> None:
    rendering = make({
        "default/push.title.j2": "t",
        "default/push.body.j2": "b",
        "default/push.data.j2": '{"id": {{ data.id | tojson }}, "n": {{ data.n }}, "on": true}',
    })  # fmt: skip

    good, bad = render(rendering, "push", {"id": '"x"', "n": 1.5}, {"id": [], "n": 1})

    assert good == PushContent("t", "b", {"id": '"x"', "n": "1.5", "on": "true"})
    assert bad == TemplateError("t/default/push.data.j2", 1, "is not a JSON object of plain values")


def test_a_key_that_is_also_a_method_of_a_dict_is_the_producers(make: Make) -> None:
    rendering = make(
        {"default/sms.text.j2": "{% for i in data.items %}{{ i.values }};{% endfor %}"}
    )

    (content,) = render(rendering, "sms", {"items": [{"values": 1}, {"values": 2}]})

    assert content == SmsContent("1;2;")
