"""The loss alarm: two equations over the requests of a time range, computed from the topics."""

from streams.reconcile.audit import reconcile
from streams.reconcile.report import Reconciliation

__all__ = ["Reconciliation", "reconcile"]
