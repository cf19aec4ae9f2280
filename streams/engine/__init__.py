"""The runner's core: rules R1, R2 and R4 without Kafka, Faust or RocksDB.

It speaks to them through `ports.py`; the worker plugs in the real ones, the simulator plugs
in memory and a seeded scheduler. So what is simulated is what runs.
"""
