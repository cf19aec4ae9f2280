"""Whole installations, measured: the real Kafka, worker processes, the provider sandbox."""
