"""From rates and users to workers, partitions, bandwidth and disks, by measured coefficients."""
