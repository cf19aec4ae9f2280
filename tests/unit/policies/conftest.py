import pytest

from policies.stops import StopList
from tests.unit.policies.stop_notes import RULES


@pytest.fixture
def stops() -> StopList:
    return StopList(RULES)
