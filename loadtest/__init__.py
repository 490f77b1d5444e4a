"""Callers, their reconnection, targets, arrivals, Locust.

Theory of operation
-------------------
Locust patches every process it runs in, and asyncio does not live well there. So the calls run in an *engine*, an
unpatched child process, one for each Locust worker; a Locust user is a thin greenlet that stays while one call
lasts. Arrivals are open-loop: a call has a due time that does not depend on how earlier
calls went, and its latency counts from there.

* `loadtest.caller` behaves as the user's clients do. Its parts: `loadtest.line` places a call in the steps of
  `loadtest.steps` and brings it back; `loadtest.script` takes the turns; `loadtest.rescue` tries again by a policy;
  `loadtest.quality_watch` and `loadtest.telemetry` look on; all write one `loadtest.diary`.
* What a caller does at what are tables: `loadtest.life`, `loadtest.reconnection`, `loadtest.quality`,
  `loadtest.adaptation`.
* `loadtest.target` is what a caller needs of an agent; `loadtest.targets` names who speaks which protocol.
* `loadtest.engine` runs calls; `loadtest.locustfile` is all that Locust sees, `loadtest.locust_engine` how it knows its
  engine; `loadtest.lead` deals the calls of `loadtest.arrivals` out over the workers.
"""

from pathlib import Path


def locustfile_path() -> Path:
    """The file to give to Locust. It is a path, not a module: importing it would patch the importing process."""
    return Path(__file__).parent / "locustfile.py"
