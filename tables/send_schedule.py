"""What a sender will do later: retries, and deliveries waiting for a rate token.

One table a lane, so that a critical retry never waits behind a million bulk ones that are due.
A row's value is a `DeliveryBatch` whose call number is the one to be made.
"""

from collections.abc import Mapping

from schemas.delivery import LANES, Lane
from tables.schedule import DueTable

PREFIX = b"s"

SCHEDULES: Mapping[Lane, DueTable] = {
    lane: DueTable(PREFIX + bytes([place])) for place, lane in enumerate(LANES)
}
