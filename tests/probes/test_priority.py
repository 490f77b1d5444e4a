"""What a thread is given, it alone is given."""

import os
import threading

from probes.priority import prefer_this_thread


def test_only_the_thread_that_asks_is_preferred() -> None:
    found: list[tuple[str, int, int]] = []

    def ask() -> None:
        given = prefer_this_thread()
        thread = threading.get_native_id()
        found.append(
            (given, os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK, os.getpriority(os.PRIO_PROCESS, thread))
        )

    before = os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    asking = threading.Thread(target=ask)
    asking.start()
    asking.join()
    ((given, policy, nice),) = found
    assert (given == "real-time") == (policy == os.SCHED_RR)
    assert given != "raised" or nice < before[1]
    assert (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())) == before
