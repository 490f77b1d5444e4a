"""Presets: sets of checks that a drill takes by name (``presets = ["targets"]``), and may override one by one.

``targets`` are the limits this project was asked to hold a voice agent to. An average in a target is judged as a
median, because an average hides whom it was bad for; a promise about every case is judged at p95.
"""

Checks = dict[str, tuple[str, ...]]

PRESETS: dict[str, Checks] = {
    "targets": {
        "call_success": ("rate >= 99 %",),
        "call_dropped": ("rate < 1 %",),
        "nat_traversal": ("rate >= 95 %",),
        "turn_latency": ("med < 300 ms", "p(95) < 500 ms"),
        "recovery_media": ("p(95) <= 8 s",),
        "errors_unhealed": ("rate <= 2 %",),
        "barge_in_stop": ("p(95) < 100 ms",),
        "agent_memory": ("slope < 30 MB/h",),
    },
    "socketio": {
        "socket_ping": ("p(95) < 50 ms",),
    },
    "conversation": {
        "turns_missed": ("count == 0",),
        "turn_latency": ("p(50) < 800 ms", "p(90) < 1.5 s"),
        "interruptions": ("rate < 5 %",),
    },
    "recovery": {
        "recoveries_failed": ("count == 0",),
        "recovery_media": ("max <= 8 s",),
        "context_lost": ("count == 0",),
        "reconnect_attempts": ("max <= 5",),
    },
}
