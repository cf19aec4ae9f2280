"""The small worker, but the fetcher of its intake dies of something that nobody expects."""

import sys
from typing import Any

from aiokafka.consumer.fetcher import Fetcher

from tests.integration.streams import small_worker
from tests.simulation.small import REQUESTS


def main() -> int:
    original = Fetcher._get_actions_per_node

    def break_down(self: Any, assignment: Any) -> Any:
        if any(place.topic.endswith(REQUESTS) for place in assignment.tps):
            raise ValueError("whatever it does not expect")
        return original(self, assignment)

    Fetcher._get_actions_per_node = break_down
    return small_worker.main()


if __name__ == "__main__":
    sys.exit(main())
