"""Every way to miss Kafka is told in one line that says where in `faust.yaml` to look."""

import asyncio
import gc
import re
from functools import partial

import pytest

from streams.assembly import layout_of
from streams.config import Config
from streams.config_errors import ConfigurationRefused
from streams.patience import Patience, Tell
from streams.reaching import Unreachable, reach
from streams.topic_admin import require
from tests.brokers import ANN, SecuredKafka
from tests.doubles.said import Said
from tests.integration.streams.mute_server import MuteServer
from tests.integration.streams.secured import Postrider, Site, Way, sasl


def wrong_ways(kafka: SecuredKafka) -> dict[str, tuple[Way, str]]:
    """By what is wrong: how it connects, and the line."""
    bundle = {"ca_bundle": str(kafka.trusted.bundle)}
    strange = {"ca_bundle": str(kafka.stranger.bundle)}
    tls, clear, both = kafka.address("tls"), kafka.address("sasl"), kafka.address("sasl-tls")
    mutual, plain = kafka.address("mutual"), kafka.broker.bootstrap

    def ssl(address: str, **security: str) -> Way:
        return Way(address, protocol="SSL", **security)

    def shown(pair_of: str, *, has_expired: bool = False) -> dict[str, str]:
        authority = kafka.stranger if pair_of == "somebody" else kafka.trusted
        pair = authority.issue(pair_of, has_expired=has_expired)
        return {"certificate": str(pair.certificate), "key": str(pair.key)}

    password = "kafka.security.password: .* refuses user .* by {}: correct kafka.security.username"
    protocol = "kafka.security.protocol: {}, but Kafka at .* speaks {}: change it, or name the port"
    return {
        "an authority that did not issue it": (
            ssl(tls, **strange),
            "kafka.security.ca_bundle: .*stranger.ca.pem does not vouch for .*: name the authority",
        ),
        "no authority": (
            ssl(tls),
            "kafka.security.ca_bundle: missing, and what this machine trusts does not vouch for .*",
        ),
        "the broker's certificate has expired": (
            ssl(kafka.address("expired"), **bundle),
            "kafka.security: the certificate of Kafka at .* has expired: renew it on the broker",
        ),
        "the broker's certificate is for another name": (
            ssl(kafka.address("misnamed"), **bundle),
            r"kafka.bootstrap: the certificate of Kafka at .* is for another name \(.*\): use one",
        ),
        "no client certificate": (
            ssl(mutual, **bundle),
            "kafka.security.certificate: missing; Kafka at .* asks clients for one: name it, .*",
        ),
        "a client certificate of a stranger": (
            ssl(mutual, **bundle, **shown("somebody")),
            "kafka.security.certificate: Kafka at .* does not accept .*: name one of an authority",
        ),
        "a client certificate that has expired": (
            ssl(mutual, **bundle, **shown("late", has_expired=True)),
            r"kafka.security.certificate: .*late.pem expired at \d{4}-.*: renew it",
        ),
        "a wrong password by PLAIN": (
            sasl(clear, "SASL_PLAINTEXT", "PLAIN", password="WRONG_PASSWORD"),
            password.format("PLAIN"),
        ),
        "a wrong password by SCRAM": (
            sasl(both, "SASL_SSL", "SCRAM-SHA-512", password="WRONG_PASSWORD", **bundle),
            password.format("SCRAM-SHA-512"),
        ),
        "a user that is not there": (
            sasl(clear, "SASL_PLAINTEXT", "SCRAM-SHA-256", username="nobody"),
            password.format("SCRAM-SHA-256"),
        ),
        "a mechanism that is not offered": (
            sasl(kafka.address("plain-only"), "SASL_PLAINTEXT", "SCRAM-SHA-512"),
            "kafka.security.mechanism: Kafka at .* does not offer SCRAM-SHA-512: see sasl.enabled",
        ),
        "TLS at a plain port": (ssl(plain, **bundle), protocol.format("SSL", "PLAINTEXT")),
        "in the clear at a port of TLS": (Way(tls), protocol.format("PLAINTEXT", "SSL")),
        "in the clear where certificates are asked for": (
            Way(mutual), protocol.format("PLAINTEXT", "SSL"),
        ),
        "nobody's name where users are asked for": (
            Way(clear), protocol.format("PLAINTEXT", "SASL_PLAINTEXT"),
        ),
        "TLS alone where users are asked for": (
            ssl(both, **bundle), protocol.format("SSL", "SASL_SSL"),
        ),
        "a password where nobody asks": (
            sasl(plain, "SASL_PLAINTEXT", "PLAIN"), protocol.format("SASL_PLAINTEXT", "PLAINTEXT"),
        ),
        "a password in the clear where it is hidden": (
            sasl(both, "SASL_PLAINTEXT", "PLAIN"), protocol.format("SASL_PLAINTEXT", "SASL_SSL"),
        ),
    }  # fmt: skip


def away_ways(kafka: SecuredKafka) -> dict[str, tuple[Way, str]]:
    """What may pass by itself: a worker waits for it."""
    return {
        "a host that has no address": (
            Way("nowhere.invalid:9092"),
            r"kafka.bootstrap: the host nowhere.invalid cannot be resolved \(.*\): correct its name",
        ),
        "a port where nobody listens": (
            Way("127.0.0.1:9"),
            r"kafka.bootstrap: no Kafka answers at 127.0.0.1:9 \(connection refused\)",
        ),
        "a broker that sends its clients elsewhere": (
            Way(kafka.address("elsewhere")),
            "kafka.bootstrap: the host nowhere.invalid cannot .* see advertised.listeners of the",
        ),
    }


async def asked(config: Config, tell: Tell) -> None:
    """What a worker asks before it starts."""
    patience = Patience(partial(reach, config.kafka), tell)
    await require(config.kafka, role="decide", layout=layout_of(config), patience=patience)


@pytest.mark.parametrize("command", [("topics", "check"), ("topics", "create"), ("send",)])
def test_a_command_says_what_is_wrong_in_one_line(
    secured: SecuredKafka, site: Site, postrider: Postrider, command: tuple[str, ...]
) -> None:
    arguments = ("--user", ANN, "--type", "order_confirmed") if command == ("send",) else ()
    for name, (way, line) in {**wrong_ways(secured), **away_ways(secured)}.items():
        ended = postrider(site.file(name, way), *command, *arguments)

        assert ended.code == 2, name
        assert ended.err.count("\n") == 1, f"{name}: {ended.err}"
        assert re.match(f"postrider: {line}", ended.err), f"{name}: {ended.err}"


async def test_a_worker_refuses_to_start_for_each_of_them(
    secured: SecuredKafka, site: Site
) -> None:
    for name, (way, line) in wrong_ways(secured).items():
        config, said = site.config(site.file(name, way)), Said()

        with pytest.raises(ConfigurationRefused, match=line) as refused:
            await asked(config, said)
        assert str(refused.value).count("\n") == 0, name
        assert said.whys == [], name


def test_a_worker_that_refuses_says_so_in_a_line_and_is_not_started_again(
    secured: SecuredKafka, site: Site
) -> None:
    way, line = wrong_ways(secured)["a wrong password by SCRAM"]
    file = site.file("wrong", way)

    code = site.start("in_app", file).wait(60)

    assert code == 78, site.told_by(file)
    assert re.fullmatch(f"postrider: {line}.*\n", site.told_by(file))


async def test_a_worker_waits_for_a_kafka_that_is_away_and_says_so(
    secured: SecuredKafka, site: Site
) -> None:
    for name, (way, line) in away_ways(secured).items():
        config = site.config(site.file(name, way))
        said = Said()

        waiting = asyncio.create_task(asked(config, said))

        assert re.match(line, str(await said.next())), name
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled(), name


def test_nothing_stays_open_to_a_server_that_never_says_goodbye(
    secured: SecuredKafka, site: Site
) -> None:
    with MuteServer(secured.trusted.issue("mute")) as server:
        way = Way(server.address, protocol="SSL", ca_bundle=str(secured.trusted.bundle))
        config = site.config(site.file("mute", way))

        with pytest.raises(Unreachable, match=r"kafka.bootstrap: no Kafka answers at .* closed"):
            asyncio.run(reach(config.kafka))

        gc.collect()  # a connection that is left open fails the test here
    assert server.has_been_asked
