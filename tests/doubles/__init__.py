"""Doubles of ours that keep the contracts of the real parts."""

from tests.doubles.batch import BatchOf, Driven, apply, drive
from tests.doubles.state import MemoryState

__all__ = ["BatchOf", "Driven", "MemoryState", "apply", "drive"]
