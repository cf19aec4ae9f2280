"""Which ACLs a role's principal needs. That no role writes elsewhere is watched in the simulator."""

from pathlib import Path

import pytest

from agents.pace import WorkerPace
from channels.rendering import Rendering
from channels.templates import Templates
from policies.clock import ManualClock
from policies.rules import Rules
from policies.stops import StopList
from schemas import topics
from schemas.delivery import CHANNELS
from streams import topology
from streams.access import access_of
from streams.engine.routes import Topology
from streams.names import changelog
from streams.stop_feed import CALLED_OFF, STOPS
from streams.topics import Layout
from streams.topology import DECIDE, ROLES, FlowSettings, Outlet
from tables.state import Kind
from tests.documented_access import documented_access
from tests.doubles.sending import ObedientSender

INGRESS = tuple(topics.REQUESTED.values())


def flow_of(role: str) -> Topology:
    lanes = {topic: lane for lane, topic in topics.REQUESTED.items()}
    settings = FlowSettings(Rules({}), partitions=1, address_key=b"k" * 16, lanes=lanes)
    stops = StopList(settings.rules)
    if role == DECIDE:
        return topology.decide(settings, stops)
    (channel,) = (each for each in CHANNELS if each == role)
    is_carried = channel != "in_app"
    outlet = Outlet(
        rendering=Rendering(Templates(Path("templates"))),
        on_misconfigured=lambda provider, reason: None,
        sender=ObedientSender(channel) if is_carried else None,
        pace=WorkerPace(limit=None, partitions=1) if is_carried else None,
    )
    return topology.send(channel, settings, stops, outlet, ManualClock())


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reads_what_it_is_wired_to_and_what_it_tails(role: str) -> None:
    wired = {source.topic for source in flow_of(role).sources}
    tailed = set(CALLED_OFF if role == DECIDE else STOPS)
    changelogs = {changelog(role, kind) for kind in Kind}

    assert access_of(role, INGRESS).reads == wired | tailed | changelogs


@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_needs_is_documented(role: str) -> None:
    assert documented_access(role) == access_of(role, INGRESS)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_to_do_with_topics_that_are_created(role: str) -> None:
    created = {topic.name for topic in Layout(1, 1, 1).topics()}

    assert access_of(role, INGRESS).topics <= created
