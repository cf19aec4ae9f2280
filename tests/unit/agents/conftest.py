"""Templates are compiled once for all tests of stages that render."""

import pytest

from channels.rendering import Rendering
from tests.unit.agents.desk import Desk, write_templates


@pytest.fixture(scope="session")
def rendering(tmp_path_factory: pytest.TempPathFactory) -> Rendering:
    return write_templates(tmp_path_factory.mktemp("templates"))


@pytest.fixture
def desk(rendering: Rendering) -> Desk:
    return Desk(rendering)
