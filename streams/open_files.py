"""How many files and connections a process may have open: as many as it is allowed to ask for.

The limit of a shell is often 1024, of which RocksDB may want 256 for each store alone, while the most
that one may ask for is mostly far higher.
"""

import resource

from streams.config_errors import ConfigurationRefused

_BASE = 100
"""Connections to brokers, probes, libraries, logs."""
_A_PARTITION = 16
"""Its two stores have six each before there is much in them; and a producer."""


def allow_most(*, partitions: int, connections: int) -> None:
    """Of this process, and of those it starts; `connections` are those to providers.

    Raises:
        ConfigurationRefused: the most is too few to begin with.
    """
    needed = _BASE + _A_PARTITION * partitions + connections
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < needed:
        told = f"a process may have {most} files open here, and this one needs {needed} at least"
        raise ConfigurationRefused([f"{told}: raise the hard limit (ulimit -Hn, LimitNOFILE)"])
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
