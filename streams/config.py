"""`faust.yaml`, the contract with the operator: read, checked whole, and composed into settings."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from channels.catalogue import PROVIDERS, SETTINGS
from channels.settings import ProviderSettings
from policies.breaker import BreakerSettings
from schemas.delivery import CHANNELS, Channel
from streams import config_errors, config_file, config_references
from streams.config_errors import ConfigInvalid
from streams.config_kafka import KafkaSettings
from streams.config_rules import rules_of
from streams.config_settings import Config
from streams.config_shape import FileShape
from streams.config_values import Place, Problem, Resolution

__all__ = ["EVERYTHING", "NO_SECRETS", "Config", "ConfigInvalid", "load"]

EVERYTHING, NO_SECRETS = "everything", "no secrets"
"""In place of a role."""
_EMBEDDED_PARTITIONS = 8
_SHORTEST_KEY = 16
_SANDBOX_KEY = b"sandbox"
"""Of hashes that nobody needs to keep secret; where it matters a key of one's own is asked for."""


def load(
    path: Path,
    *,
    environment: Mapping[str, str] | None = None,
    role: str | None = None,
    data_dir: Path | None = None,
) -> Config:
    """Read and check `path`; every fault is told at once.

    Secrets must be at hand for `role` only: a worker of `sms` needs none of SendGrid's, and a
    command Kafka's only. `EVERYTHING` asks for all, `NO_SECRETS` not even for Kafka's. `data_dir`
    wins over the file's `data`.

    Raises:
        ConfigInvalid: with a line for each fault.
    """
    return _Loading(path, os.environ if environment is None else environment, role, data_dir).run()


class _Loading:
    def __init__(
        self, path: Path, environment: Mapping[str, str], role: str | None, data_dir: Path | None
    ) -> None:
        self._path = path
        self._environment = environment
        self._role = role
        self._data_dir = data_dir
        self._problems: list[Problem] = []
        self._is_sandboxed = False

    def run(self) -> Config:
        tree = self._resolved(config_file.read(self._path))
        self._problems += config_references.faults(tree)
        shape = None
        try:
            shape = FileShape.model_validate(tree)
        except ValidationError as error:
            self._problems += config_errors.of_shape(error, FileShape)
        if shape is not None and not self._problems:
            config = self._compose(shape)
            self._judge(config)
            if not self._problems:
                return config
        raise ConfigInvalid(config_errors.lines(self._problems))

    def _resolved(self, tree: dict[str, Any]) -> dict[str, Any]:
        """With what comes from outside: variables first, since they say whether to use a sandbox."""
        variables = Resolution(self._environment, needs=self._needs)
        said = {key: variables.of(tree.get(key, ""), (key,)) for key in ("sandbox", "data")}
        self._is_sandboxed = str(said["sandbox"]).lower() in {"true", "on", "yes", "1"}
        data_dir = self._data_dir or Path(str(said["data"] or ".postrider"))
        if self._is_sandboxed:
            tree = self._with_sandbox(tree, config_file.announcement_in(data_dir))
        resolution = Resolution(self._environment, needs=self._needs)
        resolved: dict[str, Any] = resolution.of(tree)
        self._problems += resolution.problems
        return resolved

    def _with_sandbox(self, tree: dict[str, Any], announcement: Path) -> dict[str, Any]:
        replaced = config_file.with_sandbox(tree, announcement)
        if replaced is None and any(each.channel == self._role for each in PROVIDERS.values()):
            told = (
                f"the sandbox is to stand in for providers, but none is announced in {announcement}"
            )
            todo = "start `postrider sandbox`, or switch it off here to call the real ones"
            self._problems.append((("sandbox",), f"{told}: {todo}"))
        return tree if replaced is None else replaced

    def _needs(self, place: Place) -> bool:
        """Whether this process cannot do without what the file names here."""
        match place:
            case ("address_key", *_):
                wanted = self._role in ("decide", EVERYTHING)
            case ("providers", str(name), *_) if name in PROVIDERS:
                wanted = self._role in (PROVIDERS[name].channel, EVERYTHING)
            case ("kafka", "security", "password" | "key_password"):
                return self._role != NO_SECRETS
            case _:
                return True
        return wanted and not self._is_sandboxed

    def _compose(self, shape: FileShape) -> Config:
        data_dir = self._data_dir or Path(shape.data)
        kafka = KafkaSettings(shape.kafka, data_dir)
        if shape.partitions is None and not kafka.is_embedded:
            told = "missing; expected a number for life: 4 for each worker you may ever need"
            self._problems.append((("partitions",), told))
        return Config(
            shape=shape,
            kafka=kafka,
            rules=rules_of(shape),
            partitions=shape.partitions or _EMBEDDED_PARTITIONS,
            providers=self._providers(shape),
            breaker=BreakerSettings(
                error_ratio=shape.breaker.error_ratio,
                slow_factor=shape.breaker.slow_factor,
                window_seconds=round(shape.breaker.window),
                probe_seconds=shape.breaker.probe,
                min_calls=shape.breaker.min_calls,
                slow_floor_ms=round(shape.breaker.slow_floor * 1000),
            ),
            templates_dir=self._path.parent / shape.templates,
            data_dir=data_dir,
            address_key=shape.address_key.get_secret_value().encode() or _SANDBOX_KEY,
        )

    def _providers(self, shape: FileShape) -> dict[Channel, Sequence[tuple[str, ProviderSettings]]]:
        chosen: dict[Channel, Sequence[tuple[str, ProviderSettings]]] = {}
        for channel in CHANNELS:
            way = getattr(shape.channels, channel, None)
            names: Sequence[str] = way.providers if way is not None else ()
            made = [(name, self._settings(name, getattr(shape.providers, name))) for name in names]
            chosen[channel] = [(name, each) for name, each in made if each is not None]
        return chosen

    def _settings(self, name: str, shape: Any) -> ProviderSettings | None:
        values: dict[str, Any] = {
            key: value.get_secret_value() if isinstance(value, SecretStr) else value
            for key, value in shape
        }
        try:
            return SETTINGS[name](**values)
        except ValueError as error:  # its text begins with the field
            member, _, told = str(error).partition(": ")
            self._problems.append((("providers", name, member), told))
            return None

    def _judge(self, config: Config) -> None:
        """What only the settings together can get wrong."""
        kafka = config.shape.kafka
        if config.kafka.min_insync_replicas > config.kafka.replication:
            told = f"expected {config.kafka.replication} or less, the replication"
            self._problems.append((("kafka", "min_insync_replicas"), told))
        for channel in CHANNELS:
            runner = config.runner(channel)
            shortest = runner.drain_seconds + runner.cut_grace_seconds
            if kafka.rebalance_timeout <= shortest:
                told = f"expected more than {shortest:g}s, or giving up {channel} is cut short"
                self._problems.append((("kafka", "rebalance_timeout"), told))
        if self._needs(("address_key",)) and len(config.address_key) < _SHORTEST_KEY:
            told = f"expected {_SHORTEST_KEY} characters or more, kept for life"
            self._problems.append((("address_key",), told))
