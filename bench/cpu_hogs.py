"""N processes that do nothing but compute, for S seconds: `cpu_hogs.py N S`.

After shared/bench/cpu_hogs.py of the project's performance research.
"""

from __future__ import annotations

import multiprocessing
import sys
import time


def hog(seconds: float) -> None:
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
