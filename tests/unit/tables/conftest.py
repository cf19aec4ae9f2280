"""Fixtures of this folder."""

from tests.unit.tables.stores import store

__all__ = ["store"]
