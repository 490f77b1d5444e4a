"""SDP fragments (RFC 8840 section 9), as WHIP's PATCH carries them: ICE credentials and candidates, nothing else.

A whole description becomes a fragment, and a fragment put into an earlier description makes that of a restart: what
does not concern ICE (fingerprints, codecs, the SCTP port) stays as it was.
"""

_ICE = ("a=ice-ufrag:", "a=ice-pwd:", "a=candidate:", "a=end-of-candidates", "a=ice-options:")


def fragment_of(sdp: str) -> str:
    """The fragment of the first, bundled section: RFC 9725 section 4.3.3 sends credentials and all candidates anew."""
    session, *sections = _sections(sdp)
    first = sections[0] if sections else []
    group = [line for line in session if line.startswith("a=group:BUNDLE")]
    credentials = [line for line in (*session, *first) if line.startswith(_ICE[:2])]
    media = [line for line in first if line.startswith(("m=", "a=mid:"))]
    candidates = [line for line in first if line.startswith(("a=candidate:", "a=end-of-candidates"))]
    return "".join(f"{line}\r\n" for line in (*group, *credentials, *media, *candidates))


def with_fragment(sdp: str, fragment: str) -> str:
    """``sdp`` with the ICE lines of ``fragment`` in each of its sections, instead of its own."""
    session, *sections = _sections(sdp)
    fresh = [line for line in _lines(fragment) if line.startswith(_ICE)]
    kept = [line for line in session if not line.startswith(_ICE)]
    for section in sections:
        kept += [line for line in section if not line.startswith(_ICE)] + fresh
    return "".join(f"{line}\r\n" for line in kept)


def has_credentials(fragment: str) -> bool:
    """Whether a fragment begins a new ICE session (RFC 8445 section 4: at least 4 and 22 characters)."""
    lines = _lines(fragment)
    ufrags = [line.partition(":")[2] for line in lines if line.startswith("a=ice-ufrag:")]
    passwords = [line.partition(":")[2] for line in lines if line.startswith("a=ice-pwd:")]
    return bool(ufrags and passwords) and len(ufrags[0]) >= 4 and len(passwords[0]) >= 22


def _lines(text: str) -> list[str]:
    return [line for line in text.replace("\r\n", "\n").split("\n") if line]


def _sections(sdp: str) -> list[list[str]]:
    """The session's lines, and then those of each media section."""
    parts: list[list[str]] = [[]]
    for line in _lines(sdp):
        if line.startswith("m="):
            parts.append([])
        parts[-1].append(line)
    return parts
