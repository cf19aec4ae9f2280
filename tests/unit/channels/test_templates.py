"""Templates are judged whole at start: everything that is wrong is named with file and line."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from channels.templates import Templates, TemplatesInvalid

Write = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(files: Mapping[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        # syntax, with the line
        ({"t/default/sms.text.j2": "one\n{{ data.x"}, "t/default/sms.text.j2:2: unexpected end"),
        # a filter that does not exist
        ({"t/default/sms.text.j2": "{{ data.x | shout }}"}, "t/default/sms.text.j2:1: No filter"),
        # a name that nobody provides
        ({"t/default/sms.text.j2": "\n{{ user }}"}, "t/default/sms.text.j2:2: 'user' is not known"),
        # a part that no channel has
        ({"t/default/sms.body.j2": "x"}, "t/default/sms.body.j2: not <type>/<locale>"),
        # a file that is too deep
        ({"t/default/x/sms.text.j2": "x"}, "t/default/x/sms.text.j2: not <type>/<locale>"),
        # a locale with half a message
        ({"t/de/push.title.j2": "x"}, "t/de: push also needs push.body.j2"),
        # a layout that is not there
        ({"t/default/sms.text.j2": "{% include '_no.j2' %}"}, "refers to _no.j2, which does not"),
        # a layout chosen by data
        ({"t/default/sms.text.j2": "{% include data.x %}"}, "must be named by a constant"),
    ],
)
def test_templates_refuse_to_start_and_say_where(
    write: Write, files: dict[str, str], problem: str
) -> None:
    with pytest.raises(TemplatesInvalid) as refused:
        Templates(write(files))

    assert problem in str(refused.value)


def test_templates_name_every_problem_at_once(write: Write) -> None:
    files = {"a/default/sms.text.j2": "{{", "b/default/sms.text.j2": "{% if %}"}

    with pytest.raises(TemplatesInvalid) as refused:
        Templates(write(files))

    assert [problem[:23] for problem in refused.value.problems] == [
        "a/default/sms.text.j2:1",
        "b/default/sms.text.j2:1",
    ]


@pytest.mark.parametrize(
    ("text", "is_personal"),
    [
        ("{{ data.x }}", False),
        ("{{ recipient.locale }}", False),
        ("{{ recipient.name }}", True),
        ("{{ recipient['locale'] }}", True),  # not analysed further: rendered for each, correct
        ("{% set who = recipient %}{{ who.name }}", True),
        ("{% if recipient.user_id %}x{% endif %}", True),
        ("{% include '_shared/plain.j2' %}", False),
        ("{% include '_shared/greeting.j2' %}", True),
        ("{% include '_shared/nested.j2' %}", True),
        ("{% include '_shared/circle.j2' %}", False),
    ],
)
def test_message_is_personal_when_anything_of_the_recipient_is_named(
    write: Write, text: str, is_personal: bool
) -> None:
    shared = {
        "_shared/plain.j2": "plain",
        "_shared/greeting.j2": "Dear {{ recipient.name }}",
        "_shared/nested.j2": "{% include '_shared/greeting.j2' %}",
        "_shared/circle.j2": "{% if data.x %}{% include '_shared/circle.j2' %}{% endif %}",
    }

    message = Templates(write({**shared, "t/default/sms.text.j2": text})).find("t", "", "sms")

    assert message is not None
    assert message.is_personal is is_personal


@pytest.mark.parametrize(
    ("locale", "found"),
    [
        ("pt-BR", "pt-BR"),
        ("pt_br", "pt-BR"),  # as some systems write it
        ("pt-PT", "pt"),
        ("pt-PT-x-old", "pt"),
        ("pt", "pt"),
        ("de", "default"),
        ("", "default"),
        ("..", "default"),
    ],
)
def test_templates_find_the_nearest_locale(write: Write, locale: str, found: str) -> None:
    files = {f"t/{name}/sms.text.j2": name for name in ("default", "pt", "pt-BR")}

    message = Templates(write(files)).find("t", locale, "sms")

    assert message is not None
    assert message.parts["text"].render() == found


def test_templates_name_the_files_that_a_type_lacks(write: Write) -> None:
    templates = Templates(write({"t/default/sms.text.j2": "x", "t/de/email.text.j2": "x",
                                 "t/de/email.subject.j2": "x"}))  # fmt: skip

    assert templates.missing("t", ("sms",)) == []
    assert templates.missing("t", ("sms", "email")) == [
        "t/default/email.subject.j2",
        "t/default/email.text.j2",
    ]


def test_our_own_templates_are_sound() -> None:
    templates = Templates(Path(__file__).parents[3] / "templates")

    assert templates.missing("order_confirmed", ("push", "email", "sms", "in_app")) == []
    assert templates.missing("login_code", ("sms", "email")) == []
    assert templates.missing("promotion", ("push", "email", "in_app")) == []
    assert templates.missing("security_alert", ("push", "email", "sms", "in_app")) == []
