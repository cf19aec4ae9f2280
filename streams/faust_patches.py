"""Changes to Faust 0.15.3 and aiokafka 0.14.0 that no subclass or setting can make.

Each names the defect; `tests/integration/streams/test_faust_patches.py` fails when an upgrade
makes one wrong or needless. Everything that a subclass can do is in `faust_app.py`.
"""

from collections.abc import Callable
from typing import Any

from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance, GroupCoordinator
from faust.tables.manager import TableManager

from streams.lease import HeartbeatLease


def start_tables_at_once() -> None:
    """Faust's table manager sleeps for a second before it looks at its tables; ours are none."""

    async def on_start(self: Any) -> None:
        await self._update_channels()
        await self.recovery.start()

    manager: Any = TableManager
    manager.on_start = on_start


def beat_during_assignment() -> None:
    """aiokafka sends no heartbeat while the assignment callback runs: a restore longer than the
    session would cost the membership it is made for."""
    original = GroupCoordinator._on_join_complete

    async def _on_join_complete(self: Any, *args: Any) -> Any:
        self._start_heartbeat_task()
        return await original(self, *args)

    GroupCoordinator._on_join_complete = _on_join_complete


def watch_membership(lease: HeartbeatLease, on_lost: Callable[[], None]) -> None:
    """aiokafka tells nobody when a heartbeat was answered, and rejoins silently when the
    coordinator no longer knows the member: to its user, partitions that somebody else had
    meanwhile look as if they had been kept.

    `on_lost` is called in the consumer's thread.
    """
    heartbeat = GroupCoordinator._do_heartbeat
    sync = CoordinatorGroupRebalance._send_sync_group_request
    reset = GroupCoordinator.reset_generation

    async def _do_heartbeat(self: Any) -> Any:
        sent_at = lease.now_seconds()
        is_member = await heartbeat(self)  # also True while a rebalance is under way
        if is_member:
            lease.renew(sent_at)
        return is_member

    async def _send_sync_group_request(self: Any, request: Any) -> Any:
        sent_at = lease.now_seconds()
        assignment = await sync(self, request)
        if assignment is not None:
            lease.renew(sent_at)
        return assignment

    def reset_generation(self: Any) -> Any:
        on_lost()
        return reset(self)

    GroupCoordinator._do_heartbeat = _do_heartbeat
    CoordinatorGroupRebalance._send_sync_group_request = _send_sync_group_request
    GroupCoordinator.reset_generation = reset_generation
