"""The command line as a person meets it: help, and mistakes told in a line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from streams.cli import COMMANDS, main
from tests.certificates import Authority


class Ended(NamedTuple):
    code: object
    out: str
    err: str


Postrider = Callable[..., Ended]


@pytest.fixture
def postrider(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Postrider:
    """Runs a command with these arguments; what a person's shell may hold is out of the way."""
    for name in ("POSTRIDER_CONFIG", "POSTRIDER_DATA", "POSTRIDER_SANDBOX", "KAFKA_BOOTSTRAP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return Ended(ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def a_file(tmp_path: Path) -> Path:
    """A copy of the repository's file, beside its templates."""
    tree = yaml.safe_load(Path("faust.yaml").read_text())
    tree["templates"] = str(Path("templates").resolve())
    path = tmp_path / "faust.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def test_help_names_every_command_with_what_it_does(postrider: Postrider) -> None:
    shown = postrider("--help")

    assert shown.code == 0
    lines = shown.out.partition("Commands:\n")[2].strip().splitlines()
    assert [line.split()[0] for line in lines] == list(COMMANDS)
    assert all(len(line.split()) > 3 and not line.endswith("...") for line in lines), lines


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["topic"], "No such command 'topic'."),
        (["topics", "delete"], "No such command 'delete'."),
        (["config", "check", "--loud"], "No such option: --loud"),
        (["kafka", "--port", "http"], "Invalid value for '--port'"),
    ],
)
def test_a_mistyped_command_is_told_with_where_to_look(
    postrider: Postrider, arguments: list[str], told: str
) -> None:
    refused = postrider(*arguments)

    assert refused.code == 2
    assert told in refused.err
    assert "--help" in refused.err or "-h" in refused.err


def test_config_check_prints_what_is_in_force_as_yaml_or_json(
    postrider: Postrider, a_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(a_file.parent)

    shown = postrider("config", "check")
    as_json = postrider("config", "check", str(a_file), "--json")

    assert shown.code == as_json.code == 0
    assert yaml.safe_load(shown.out) == json.loads(as_json.out)
    assert json.loads(as_json.out)["partitions"] == 8


def test_config_check_tells_each_fault_in_a_line_with_its_file(
    postrider: Postrider, a_file: Path
) -> None:
    a_file.write_text(a_file.read_text().replace("24h", "1 day").replace("locale", "lokale"))

    refused = postrider("config", "check", str(a_file))

    assert refused.code == 2
    assert refused.out == ""
    lines = refused.err.splitlines()
    assert f"postrider: {a_file}: defaults.lokale: unknown; did you mean locale?" in lines
    assert all(line.startswith(f"postrider: {a_file}: ") for line in lines)


def test_config_check_asks_for_the_secrets_of_real_providers(
    postrider: Postrider, a_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTRIDER_SANDBOX", "off")

    refused = postrider("config", "check", str(a_file))
    excused = postrider("config", "check", str(a_file), "--without-secrets")

    assert refused.code == 2
    assert "address_key: missing secret; expected it in POSTRIDER_ADDRESS_KEY" in refused.err
    assert excused.code == 0


def test_config_check_can_do_without_the_secrets_of_kafka(
    postrider: Postrider, a_file: Path, tmp_path: Path
) -> None:
    pair = Authority(tmp_path, "authority").issue("ann", password=b"open")
    tree = yaml.safe_load(a_file.read_text())
    tree["kafka"]["security"] = {
        "protocol": "SASL_SSL", "username": "ann", "password": {"env": "NO_PASSWORD"},
        "certificate": str(pair.certificate), "key": str(pair.key),
        "key_password": {"file": str(tmp_path / "no password")},
    }  # fmt: skip
    a_file.write_text(yaml.safe_dump(tree))

    refused = postrider("config", "check", str(a_file))
    excused = postrider("config", "check", str(a_file), "--without-secrets")

    assert refused.code == 2
    assert "kafka.security.password: missing secret; expected it in NO_PASSWORD" in refused.err
    assert "kafka.security.key_password: missing secret; expected it in the file" in refused.err
    assert (excused.code, excused.err) == (0, "")


def test_config_check_names_a_template_that_does_not_compile(
    postrider: Postrider, a_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "templates" / "login_code" / "default"
    folder.mkdir(parents=True)
    (folder / "sms.text.j2").write_text("{{ code")
    a_file.write_text(
        f"{a_file.read_text()}\n".replace(str(Path("templates").resolve()), "templates")
    )

    refused = postrider("config", "check", str(a_file))

    assert refused.code == 2
    assert "sms.text.j2" in refused.err


def test_no_configuration_at_all_is_told(
    postrider: Postrider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    refused = postrider("topics", "create")

    assert refused.code == 2
    assert refused.err == "postrider: faust.yaml: cannot be read: No such file or directory\n"


def test_an_embedded_kafka_that_never_ran_is_told_with_what_to_do(
    postrider: Postrider, a_file: Path
) -> None:
    refused = postrider("topics", "check", "-c", str(a_file), "--data-dir", str(a_file.parent))

    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert "start `postrider up` or `postrider kafka`" in refused.err


def test_a_kafka_that_does_not_answer_is_told_in_a_line(
    postrider: Postrider, a_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "127.0.0.1:9")
    monkeypatch.setenv("POSTRIDER_PARTITIONS", "8")

    refused = postrider("topics", "check", "-c", str(a_file))

    assert refused.code == 2
    told = "kafka.bootstrap: no Kafka answers at 127.0.0.1:9 (connection refused)"
    assert refused.err == f"postrider: {told}\n"
