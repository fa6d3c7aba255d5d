"""N processes that do nothing but compute, for S seconds: `cpu_hogs.py N S`.

After shared/bench/cpu_hogs.py of the project's performance research.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import time


def hog(seconds: float) -> None:
    with contextlib.suppress(PermissionError):  # whoever started us may stand higher
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    end = time.time() + seconds
    while time.time() < end:
        sum(range(1000))


if __name__ == "__main__":
    processes = [multiprocessing.Process(target=hog, args=(float(sys.argv[2]),)) for _ in range(int(sys.argv[1]))]
    for process in processes:
        process.start()
    print("ready", flush=True)
    for process in processes:
        process.join()
