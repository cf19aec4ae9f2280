"""`faust.yaml`: each fault is told by its place and what is expected; a good one becomes settings."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from policies.rules import RateLimit
from streams.config import EVERYTHING, Config, ConfigInvalid, load

SECRETS = {
    "SENDGRID_API_KEY": "SG.key",
    "TWILIO_TOKEN": "tk-7c1",
    "FCM_ACCOUNT": "{}",
    "ADDRESS_KEY": "0123456789abcdef",
}


def a_file() -> dict[str, Any]:
    """A small file without a fault."""
    return {
        "kafka": {"bootstrap": "kafka:9092"},
        "partitions": 48,
        "ingress": [{"topic": "notifications.requested", "lane": "normal"}],
        "categories": {
            "transactional": {"quiet_hours": True},
            "marketing": {"lane": "bulk", "daily_limit": {"email": 3}},
        },
        "types": {
            "order": {"category": "transactional", "channels": ["push"], "fallback": ["sms"]},
        },
        "defaults": {"marketing": {"sms": False}},
        "channels": {
            "push": {"providers": ["fcm"]},
            "email": {"providers": ["sendgrid"]},
            "sms": {
                "providers": ["twilio"],
                "senders": {"main": {"number": "+15005550006", "rate": "10/s"}},
            },
        },
        "providers": {
            "fcm": {"service_account": {"env": "FCM_ACCOUNT"}},
            "sendgrid": {"api_key": {"env": "SENDGRID_API_KEY"}, "from_email": "a@example.com"},
            "twilio": {"account_sid": "AC1", "auth_token": {"env": "TWILIO_TOKEN"}, "rate": "5/s"},
        },
        "address_key": {"env": "ADDRESS_KEY"},
    }


def put(tree: dict[str, Any], place: str, value: object) -> dict[str, Any]:
    """`tree` with another value at `a.b.0`; None takes away."""
    *parents, last = place.split(".")
    node: Any = tree
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
    if value is None:
        del node[last]
    elif isinstance(node, list):
        node[int(last)] = value
    else:
        node[last] = value
    return tree


def loaded(
    folder: Path,
    tree: object,
    *,
    role: str | None = EVERYTHING,
    environment: Mapping[str, str] = SECRETS,
) -> Config:
    path = folder / "faust.yaml"
    path.write_text(tree if isinstance(tree, str) else yaml.safe_dump(tree))
    return load(path, environment=environment, role=role, data_dir=folder / "data")


def problems(folder: Path, tree: object, **how: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigInvalid) as refused:
        loaded(folder, tree, **how)
    return refused.value.problems


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        # unknown keys, at every depth
        ("kafak", {}, "kafak: unknown; did you mean kafka?"),
        ("kafka.boostrap", "k", "kafka.boostrap: unknown; did you mean bootstrap?"),
        ("types.order.lane", "bulk", "types.order.lane: unknown; expected one of category, "),
        ("ingress.0.lanes", "bulk", "ingress[0].lanes: unknown; did you mean lane?"),
        ("providers.fcm.apikey", "x", "providers.fcm.apikey: unknown; expected one of base_url, "),
        ("providers.mailgun", {}, "providers.mailgun: unknown; expected one of sendgrid, "),
        ("defaults.marketting", {}, "defaults.marketting: unknown; did you mean marketing?"),
        # what is missing
        ("categories", None, "categories: missing, and there is no default"),
        ("types.order.category", None, "types.order.category: missing, and there is no default"),
        ("partitions", None, "partitions: missing; expected a number for life"),
        # ranges
        ("partitions", 0, "partitions: expected 1 or more, got 0"),
        ("partitions", "many", "partitions: expected a whole number, got 'many'"),
        ("breaker.error_ratio", 1.5, "breaker.error_ratio: expected 1.0 or less, got 1.5"),
        ("types.order.channels", [], "types.order.channels: expected at least one"),
        ("dedup_window", "1s", "dedup_window: expected 1m to 7d, got 1s"),
        # how values are written
        ("types.order.ttl", "24 hours", "types.order.ttl: expected a duration such as 30s, 5m,"),
        ("types.order.ttl", 24, "types.order.ttl: expected a duration such as 30s, 5m,"),
        ("types.order.ttl", "0s", "types.order.ttl: expected a duration such as 30s, 5m,"),
        ("limits.per_user.sms", "ten/h", "limits.per_user.sms: expected a rate such as 10/s,"),
        ("limits.per_user.sms", "0/h", "limits.per_user.sms: expected a rate such as 10/s,"),
        ("workers.memory", "64MB", "workers.memory: expected a size such as 512KiB, 64MiB"),
        ("workers.memory", "64MiB", "workers.memory: expected 192MiB or more, got 64MiB"),
        ("legal_windows.default", "8-21", "legal_windows.default: "),
        ("defaults.timezone", "Mars/Base", "defaults.timezone: "),
        ("defaults.channels.sms", "perhaps", "defaults.channels.sms: expected on or off, got"),
        ("kafka.topic_prefix", "a_b", "kafka.topic_prefix: expected a text of the form "),
        ("kafka.security.ca_bundle", "none.pem", "kafka.security.ca_bundle: expected a file that"),
        # closed sets, and names that are declared elsewhere
        ("types.order.channels.0", "fax", "types.order.channels[0]: expected 'push', 'email',"),
        ("types.order.fallback.0", "smss", "types.order.fallback[0]: expected 'push', 'email',"),
        ("types.order.fallback.0", "push", "types.order.fallback[0]: push is one of its channels"),
        ("types.order.category", "sale", "types.order.category: expected a category (marketi"),
        ("ingress.0.lane", "fast", "ingress[0].lane: expected 'critical', 'normal' or 'bulk'"),
        ("limits.per_user.fax", "1/h", "limits.per_user.fax: expected 'push', 'email', 'sms'"),
        ("channels.sms", None, "types.order.fallback[0]: sms has no providers: name them in ch"),
        ("channels.push.providers.0", "twilio", "channels.push.providers[0]: expected a provider"),
        ("providers.fcm", None, "channels.push.providers[0]: fcm has no settings: give them in"),
        ("ingress.0.tenants", [], "ingress[0].tenants: expected at least one"),
        ("ingress.0.tenants", "shop", "ingress[0].tenants: expected a list, got 'shop'"),
        ("ingress.0.tenants", ["a b"], "ingress[0].tenants[0]: expected a text of the form "),
        # settings that do not go together
        ("kafka.min_insync_replicas", 4, "kafka.min_insync_replicas: expected 3 or less"),
        ("kafka.rebalance_timeout", "10s", "kafka.rebalance_timeout: expected more than 16s"),
        ("kafka.session_timeout", "3s", "kafka: session_timeout must be at least three times"),
        ("kafka.security.protocol", "SASL_SSL", "kafka.security: SASL_SSL needs username and"),
        # whoever names a bundle and forgets the protocol would talk in the clear, unknowing
        ("kafka.security.ca_bundle", "README.md", "kafka.security: protocol PLAINTEXT has no use"),
        ("kafka.security.username", "ann", "kafka.security: protocol PLAINTEXT has no use for us"),
        ("categories.marketing.mandatory", True, "categories.marketing.daily_limit: a mandatory"),
        # settings that a provider refuses
        ("providers.fcm.base_url", "ftp://x", "providers.fcm.base_url: expected an http(s) URL"),
        ("providers.fcm.connections", 0, "providers.fcm.connections: expected 1 or more, got 0"),
        # secrets
        ("address_key.env", "NONE", "address_key: missing secret; expected it in NONE"),
        ("address_key", {"file": "/no"}, "address_key: missing secret; expected it in the file"),
        ("address_key", "abc", "address_key: expected {env: NAME} or {file: PATH}, never the sec"),
        ("address_key.env", "TWILIO_TOKEN", "address_key: expected 16 characters or more"),
        ("providers.twilio.account_sid", "${SID}", "providers.twilio.account_sid: expected the en"),
    ],
)  # fmt: skip
def test_a_fault_is_told_by_its_place_and_what_is_expected(
    tmp_path: Path, place: str, value: object, told: str
) -> None:
    found = problems(tmp_path, put(a_file(), place, value))

    assert any(line.startswith(told) for line in found), found
    assert all("\n" not in line for line in found)


def test_faults_are_told_all_at_once_and_each_once(tmp_path: Path) -> None:
    tree = a_file()
    put(tree, "partitions", -1)
    put(tree, "types.order.category", "sale")
    put(tree, "types.order.ttl", "${NO_SUCH}")
    put(tree, "address_key.env", "NONE")

    places = [line.partition(":")[0] for line in problems(tmp_path, tree)]

    assert sorted(places) == [
        "address_key",
        "partitions",
        "types.order.category",
        "types.order.ttl",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected a mapping of keys to values"),
        ("- a\n- b\n", "expected a mapping of keys to values"),
        ("kafka: {bootstrap: [}\n", "line 1, column 21: "),
        ("partitions: 1\npartitions: 2\n", "line 2, column 1: the key 'partitions' is given twice"),
        ("? [a]\n: 1\n", "line 1, column 3: expected a name as the key"),
        ("types: \x00\n", "not YAML: "),
    ],
)
def test_what_is_no_configuration_at_all_is_refused_in_one_line(
    tmp_path: Path, text: str, told: str
) -> None:
    found = problems(tmp_path, text)

    assert len(found) == 1
    assert found[0].startswith(told)


_NONSENSE: list[object] = [[], [1], {"a": {"b": [None]}}, -3, 0, "text", [[]], [{}]]


@pytest.mark.parametrize("place", list(a_file()))
@pytest.mark.parametrize("value", _NONSENSE)
def test_nonsense_in_any_section_is_a_fault_and_never_a_traceback(
    tmp_path: Path, place: str, value: object
) -> None:
    assert problems(tmp_path, put(a_file(), place, value))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="cannot be read: No such file"):
        load(tmp_path / "none.yaml", environment={})


def test_a_role_needs_the_secrets_of_its_own_providers_only(tmp_path: Path) -> None:
    only_twilio = {"TWILIO_TOKEN": "tk-7c1"}

    config = loaded(tmp_path, a_file(), role="sms", environment=only_twilio)

    assert [name for name, _ in config.providers["sms"]] == ["twilio"]
    assert problems(tmp_path, a_file(), role="push", environment=only_twilio) == (
        "providers.fcm.service_account: missing secret; expected it in FCM_ACCOUNT",
    )
    assert problems(tmp_path, a_file(), role="decide", environment=only_twilio) == (
        "address_key: missing secret; expected it in ADDRESS_KEY",
    )
    assert loaded(tmp_path, a_file(), role=None, environment={}).partitions == 48


def test_variables_are_replaced_and_an_empty_one_takes_its_key_away(tmp_path: Path) -> None:
    tree = put(a_file(), "kafka.bootstrap", "${HOST:-localhost}:${PORT}")
    tree = put(tree, "kafka.replication", "${REPLICATION:-}")
    tree = put(tree, "partitions", "${PARTITIONS:-12}")

    config = loaded(tmp_path, tree, environment=SECRETS | {"PORT": "19092"})

    assert config.kafka.connection()["bootstrap_servers"] == "localhost:19092"
    assert config.kafka.replication == 3
    assert config.partitions == 12


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from a file\n")
    tree = put(a_file(), "providers.twilio.auth_token", {"file": str(tmp_path / "token")})

    _, settings = loaded(tmp_path, tree).providers["sms"][0]

    assert getattr(settings, "auth_token") == "from a file"  # noqa: B009  # of its own class only


def test_values_become_the_settings_of_each_component(tmp_path: Path) -> None:
    tree = put(a_file(), "limits", {"per_user": {"push": "60/h", "sms": "5/10m"}})
    tree = put(tree, "types.order.ttl", "90m")
    tree = put(tree, "providers.fcm.timeout_seconds", 4)

    config = loaded(tmp_path, tree)

    assert config.rules.per_user == {"push": RateLimit(60, 3600), "sms": RateLimit(5, 600)}
    assert config.rules.types["order"].ttl_seconds == 5400
    assert config.rules.types["order"].category.quiet_hours
    assert config.rules.defaults.categories == {"marketing": {"sms": False}}
    assert config.lanes == {"notifications.requested": "normal"}
    assert config.tenants == {}
    assert config.sms_senders == {"+15005550006": RateLimit(10, 1)}
    assert config.providers["sms"][0][1].rate == RateLimit(5, 1)
    assert config.runner("push").drain_seconds == 5.0
    assert [config.metrics_port("push", slot) for slot in (0, 3)] == [9200, 9203]


@pytest.mark.parametrize(
    ("open_calls", "connections", "most"), [(512, 100, 100), (64, 100, 64), (512, 1000, 512)]
)
def test_no_more_calls_are_open_than_there_are_connections_for(
    tmp_path: Path, open_calls: int, connections: int, most: int
) -> None:
    tree = put(a_file(), "workers", {"open_calls": open_calls})
    config = loaded(tmp_path, put(tree, "providers.fcm.connections", connections))

    assert config.runner("push").max_open_calls == most
    assert config.runner("decide").max_open_calls == open_calls


def test_few_are_intended_beyond_those_whose_calls_may_be_open(tmp_path: Path) -> None:
    tree = put(a_file(), "workers", {"in_doubt": 3000})
    config = loaded(tmp_path, put(tree, "providers.fcm.connections", 80))

    assert config.runner("push").max_exposed == 5 * 80
    assert config.runner("email").max_exposed == 3000, "a call has a thousand recipients"


def test_a_topic_may_be_kept_for_some_tenants(tmp_path: Path) -> None:
    tree = put(a_file(), "ingress.0.tenants", ["accounts", "shop"])

    config = loaded(tmp_path, tree)

    assert config.tenants == {"notifications.requested": {"accounts", "shop"}}
    assert "- accounts" in config.masked()


def test_the_effective_configuration_shows_every_default_and_no_secret(tmp_path: Path) -> None:
    shown = loaded(tmp_path, a_file()).masked()

    effective = yaml.safe_load(shown)
    assert effective["types"]["order"]["ttl"] == "1d"
    assert effective["channels"]["sms"]["senders"]["main"]["rate"] == "10/s"
    assert effective["kafka"] | {"replication": 3, "min_insync_replicas": 2} == effective["kafka"]
    assert effective["providers"]["sendgrid"]["api_key"] == "**********"
    assert not any(secret in shown for secret in SECRETS.values() if secret != "{}")


def test_the_effective_configuration_is_a_configuration(tmp_path: Path) -> None:
    shown = yaml.safe_load(loaded(tmp_path, a_file()).masked())
    for place in ("address_key", "providers.fcm.service_account", "providers.sendgrid.api_key"):
        put(shown, place, {"env": "ADDRESS_KEY"})
    put(shown, "providers.twilio.auth_token", {"env": "ADDRESS_KEY"})

    assert loaded(tmp_path, shown).rules == loaded(tmp_path, a_file()).rules


def test_sasl_and_tls_become_arguments_of_the_client(tmp_path: Path) -> None:
    security = {"protocol": "SASL_SSL", "username": "u", "password": {"env": "TWILIO_TOKEN"}}

    arguments = loaded(tmp_path, put(a_file(), "kafka.security", security)).kafka.connection()

    assert arguments["security_protocol"] == "SASL_SSL"
    assert arguments["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (arguments["sasl_plain_username"], arguments["sasl_plain_password"]) == ("u", "tk-7c1")
    assert arguments["ssl_context"].check_hostname


def test_the_embedded_kafka_is_found_where_it_last_ran(tmp_path: Path) -> None:
    config = loaded(tmp_path, put(a_file(), "kafka.bootstrap", "embedded"))

    with pytest.raises(
        ConfigInvalid, match=r"no embedded Kafka has run in .*: start `postrider up`"
    ):
        config.kafka.connection()
    config.kafka.embedded_dir.mkdir(parents=True)
    (config.kafka.embedded_dir / "identity.json").write_text(json.dumps({"port": "4711"}))

    assert config.kafka.connection()["bootstrap_servers"] == "127.0.0.1:4711"
    assert config.kafka.replication == 1


def test_the_sandbox_stands_in_for_every_provider_while_it_runs(tmp_path: Path) -> None:
    tree = put(a_file(), "sandbox", "${POSTRIDER_SANDBOX:-on}")

    told = problems(tmp_path, tree, role="sms", environment={})
    announcement = loaded(tmp_path, tree, role=None, environment={}).announcement
    announcement.parent.mkdir(parents=True)
    twilio = {"base_url": "http://127.0.0.1:1", "account_sid": "ACs", "auth_token": "s"}
    fcm = {"base_url": "http://127.0.0.1:2", "service_account": {"key": "k"}, "project_id": "p"}
    announcement.write_text(json.dumps({"twilio": twilio, "fcm": fcm}))
    config = loaded(tmp_path, tree, role=EVERYTHING, environment={})

    assert told[0].startswith("sandbox: the sandbox is to stand in for providers, but none is")
    assert config.providers["sms"][0][1].base_url == "http://127.0.0.1:1"
    assert config.providers["push"][0][1].base_url == "http://127.0.0.1:2"
    assert config.address_key
    assert problems(tmp_path, tree, environment={"POSTRIDER_SANDBOX": "off"})


def test_a_type_without_a_template_is_refused(tmp_path: Path) -> None:
    config = loaded(tmp_path, a_file())
    with pytest.raises(ConfigInvalid, match="templates: expected a folder"):
        _ = config.templates
    (tmp_path / "templates").mkdir()

    with pytest.raises(ConfigInvalid) as refused:
        _ = loaded(tmp_path, a_file()).templates

    assert refused.value.problems[0].startswith("types.order: missing template ")
    assert any(line.endswith("order/default/sms.text.j2") for line in refused.value.problems)


def test_the_file_of_this_repository_works_as_it_stands() -> None:
    config = load(Path("faust.yaml"), environment={}, role=EVERYTHING)

    assert config.templates
    assert set(config.rules.types) >= {"login_code", "order_confirmed", "promotion"}
