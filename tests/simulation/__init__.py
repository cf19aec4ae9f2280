"""The whole topology in memory: the engine that a worker runs, on a broker, disks and providers
that can be crashed, suspended and robbed at any await, in virtual time, from a seed."""
