"""The built-in language model: scripted, offline, and honest about it.

It counts the turns of the session and says so in each answer, which is just what a drill needs: after a
reconnection the count goes on only if the session was really taken up. It remembers a code word it is told and
gives it back when asked.
"""

import re

from agent.sessions import Session

GREETING = "Hello, this is the drill agent. How can I help you?"
_TOLD = re.compile(r"code ?word is (\w+)", re.IGNORECASE)
_ASKED = re.compile(r"what (?:is|was) my code ?word", re.IGNORECASE)


def reply(session: Session, heard: str | None) -> str:
    """The answer to a turn; ``heard`` is None when it was speech that nobody transcribed."""
    session.turns += 1
    if heard is not None:
        told, asked = _TOLD.search(heard), _ASKED.search(heard)
        if told:
            session.facts["code word"] = told[1]
            return f"This is answer number {session.turns}. I will remember {told[1]}."
        if asked:
            word = session.facts.get("code word")
            known = f"Your code word was {word}." if word else "You did not tell me a code word."
            return f"This is answer number {session.turns}. {known}"
    return f"This is answer number {session.turns}. I heard you, please go on."


def likely_replies(turns: int) -> list[str]:
    """What will probably be said in the first turns, so that the voice can have it ready."""
    return [f"This is answer number {n}. I heard you, please go on." for n in range(1, turns + 1)]
