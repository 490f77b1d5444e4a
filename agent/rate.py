"""A token bucket: so much at once, so much a second."""


class Bucket:
    """Holds ``capacity`` and is filled by ``per_s``; time is passed in."""

    def __init__(self, per_s: float, capacity: float, now_s: float) -> None:
        self._per_s, self._capacity = per_s, capacity
        self._held, self._at_s = capacity, now_s

    def take(self, amount: float, now_s: float) -> bool:
        """Take that much, or nothing."""
        self._held = min(self._capacity, self._held + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if amount > self._held:
            return False
        self._held -= amount
        return True
