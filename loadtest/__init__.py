"""Callers, their reconnection, targets, arrivals, Locust.

Theory of operation
-------------------
Locust patches every process it runs in, and asyncio does not live well there. So the calls run in an *engine*, an
unpatched child process, one for each Locust worker; a Locust user is a thin greenlet that asks the engine for one
call and waits for its result. Arrivals are open-loop: a call has a due time that does not depend on how earlier
calls went, and its latency counts from there.

* `loadtest.caller` behaves as the user's clients do; its states are the table in `loadtest.life`, its patience
  the policy in `loadtest.reconnection`.
* `loadtest.target_openai` speaks to the agent.
* `loadtest.engine` runs calls; `loadtest.locustfile` is all that Locust sees.
"""

from pathlib import Path


def locustfile_path() -> Path:
    """The file to give to Locust. It is a path, not a module: importing it would patch the importing process."""
    return Path(__file__).parent / "locustfile.py"
