"""The policies of the user's two clients, to the letter."""

from loadtest.reconnection import POLICIES, VOICE_HOOK, WIDGET


def delays(policy) -> list[int]:
    found = []
    while (delay := policy.delay_ms(len(found))) is not None:
        found.append(delay)
    return found


def test_the_widget_tries_five_times() -> None:
    assert delays(WIDGET) == [1000, 2000, 4000, 8000, 16000]


def test_the_voice_hook_tries_three_times() -> None:
    assert delays(VOICE_HOOK) == [2000, 4000, 8000]


def test_delays_never_pass_the_cap() -> None:
    assert max(min(p.base_ms * 2**20, p.cap_ms) for p in POLICIES.values()) == 30_000
