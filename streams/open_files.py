"""How many files and connections a worker may have open: as many as it is allowed to ask for.

The limit of a shell is often 1024, of which RocksDB may want 256 for each store alone, while the most
that one may ask for is mostly far higher.
"""

import resource

from streams.config_errors import ConfigurationRefused

LEAST = 256
"""A worker with 4 partitions and little to keep has about 110."""


def allow_most() -> None:
    """Of this process, and of those it starts.

    Raises:
        ConfigurationRefused: the most is fewer than any worker needs.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < LEAST:
        told = f"a process may have {most} files open here, and a worker needs {LEAST} at least"
        raise ConfigurationRefused([f"{told}: raise the hard limit (ulimit -Hn, LimitNOFILE)"])
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
