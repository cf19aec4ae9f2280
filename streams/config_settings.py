"""`Config`: what `faust.yaml` says, composed into the settings of each component."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path

import yaml

from channels.catalogue import PROVIDERS
from channels.settings import ProviderSettings
from channels.templates import Templates, TemplatesInvalid
from policies.breaker import BreakerSettings
from policies.rules import RateLimit, Rules
from schemas.delivery import CHANNELS, Channel, Lane
from streams import config_file
from streams.config_errors import ConfigInvalid
from streams.config_kafka import KafkaSettings
from streams.config_shape import FileShape, IngressShape
from streams.engine.runner import RunnerSettings
from streams.memory import MemoryParts, parts_of

_PORTS_A_ROLE = 100
_WAVES = 5
"""For each call that may be open so many may be intended: some wait for a place, and some of those that
have ended to be written down."""


@dataclass(frozen=True)
class Config:
    """One installation; immutable, and complete: nothing else is read from the environment."""

    shape: FileShape
    """The file as it was understood, with defaults."""
    kafka: KafkaSettings
    rules: Rules
    partitions: int
    providers: Mapping[Channel, Sequence[tuple[str, ProviderSettings]]]
    """Of each channel, in order of preference."""
    breaker: BreakerSettings
    templates_dir: Path
    data_dir: Path
    address_key: bytes = field(repr=False)

    @property
    def ingress(self) -> Sequence[IngressShape]:
        return self.shape.ingress

    @property
    def lanes(self) -> Mapping[str, Lane]:
        """Ingress topics, each with the fastest lane it may use."""
        return {each.topic: each.lane for each in self.shape.ingress}

    @property
    def tenants(self) -> Mapping[str, frozenset[str]]:
        """Ingress topics that take requests of these tenants only."""
        return {each.topic: frozenset(each.tenants) for each in self.ingress if each.tenants}

    @property
    def sms_senders(self) -> Mapping[str, RateLimit]:
        """Numbers that messages go out from, with the carrier's limit; in the file's order."""
        sms = self.shape.channels.sms
        return {each.number: each.rate for each in sms.senders.values()} if sms else {}

    @property
    def announcement(self) -> Path:
        """Where the sandbox says how to reach it."""
        return config_file.announcement_in(self.data_dir)

    @property
    def memory(self) -> MemoryParts:
        return parts_of(self.shape.workers.memory)

    def runner(self, role: str) -> RunnerSettings:
        """A call that would only wait for a connection waits outside, where the urgent ones pass, and
        where no time of its provider's is spent; few of these are intended, since whoever is would
        be in doubt. A drain waits for the longest call that may be open, and a second more."""
        providers = self._providers_of(role)
        open_calls = self.shape.workers.open_calls
        connections = sum(each.connections for each in providers) or open_calls
        most_open = min(open_calls, connections)
        in_waves = _WAVES * most_open * self._batch_of(role)
        return RunnerSettings(
            max_open_calls=most_open,
            max_exposed=min(self.shape.workers.in_doubt, in_waves),
            intake_bytes=self.memory.intake,
            room_bytes=self.memory.room,
            drain_seconds=max((each.timeout_seconds for each in providers), default=10.0) + 1.0,
        )

    def metrics_port(self, role: str, slot: int) -> int:
        """Of each role a hundred; 0 is any free one."""
        base = self.shape.workers.metrics_port
        roles = ("decide", *CHANNELS)
        return base and base + _PORTS_A_ROLE * roles.index(role) + slot

    @cached_property
    def templates(self) -> Templates:
        """All templates, compiled.

        Raises:
            ConfigInvalid: one does not compile, or a type lacks one for a channel of its own.
        """
        if not self.templates_dir.is_dir():
            raise ConfigInvalid([f"templates: expected a folder, got {self.templates_dir}"])
        try:
            templates = Templates(self.templates_dir)
        except TemplatesInvalid as error:
            raise ConfigInvalid(
                [f"templates: {each}" for each in str(error).splitlines()]
            ) from None
        missing = [
            f"types.{kind.name}: missing template {self.templates_dir / name}"
            for kind in self.rules.types.values()
            for name in templates.missing(kind.name, (*kind.channels, *kind.fallback))
        ]
        if missing:
            raise ConfigInvalid(missing)
        return templates

    def masked(self) -> str:
        """The effective configuration as YAML; secrets are stars."""
        effective = self.shape.model_dump(mode="json", exclude_none=True)
        effective["partitions"] = self.partitions
        effective["kafka"]["replication"] = self.kafka.replication
        effective["kafka"]["min_insync_replicas"] = self.kafka.min_insync_replicas
        return yaml.safe_dump(effective, sort_keys=False, allow_unicode=True)

    def _providers_of(self, role: str) -> Sequence[ProviderSettings]:
        return [settings for _, settings in self._named_providers_of(role)]

    def _batch_of(self, role: str) -> int:
        """Messages in a request that any of its providers takes."""
        names = (name for name, _ in self._named_providers_of(role))
        return min((PROVIDERS[name].max_batch for name in names), default=1)

    def _named_providers_of(self, role: str) -> Sequence[tuple[str, ProviderSettings]]:
        chosen = (chosen for channel, chosen in self.providers.items() if channel == role)
        return list(chain.from_iterable(chosen))
