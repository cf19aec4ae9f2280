"""`python -m benchmarks.peers.workers.celery_requests NAME`: ask for a broadcast, say when."""

import sys
import time

if __name__ == "__main__":
    from benchmarks.peers.workers.celery_tasks import fan_out_task

    print(time.monotonic())
    fan_out_task.delay(sys.argv[1], "")
