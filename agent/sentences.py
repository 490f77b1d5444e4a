"""Pieces of text to sentences, as they come: a voice is given a sentence as soon as it is whole.

A sentence ends at ``. ! ? … :`` or a line's end that is followed by space. One that does not end within
`LONGEST` characters is cut at a space, for a voice should not wait for it.
"""

import re

LONGEST = 240
_END = re.compile(r"[.!?…:;]+[\"'»)]*\s+|\n+")


class SentenceSplitter:
    """One answer's text, piece by piece."""

    def __init__(self) -> None:
        self._rest = ""

    def push(self, piece: str) -> list[str]:
        """The sentences that are whole now."""
        self._rest += piece
        sentences = []
        while (end := self._next_end()) is not None:
            sentences.append(self._rest[:end].strip())
            self._rest = self._rest[end:]
        return [sentence for sentence in sentences if sentence]

    def flush(self) -> list[str]:
        """What is left."""
        rest, self._rest = self._rest.strip(), ""
        return [rest] if rest else []

    def _next_end(self) -> int | None:
        match = _END.search(self._rest)
        if match and match.end() <= LONGEST:
            return match.end()
        if len(self._rest) <= LONGEST:
            return None
        space = self._rest.rfind(" ", 1, LONGEST)
        return space + 1 if space > 0 else LONGEST
