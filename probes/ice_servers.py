"""``iceServers`` as WebRTC programs write them (W3C webrtc-pc section 4.2.4), read into servers to probe.

Taken are ``[RTCIceServer, …]``, ``{"iceServers": […]}`` (also ``ice_servers``, as some token services answer) and a
single RTCIceServer. ``urls`` is a text or a list of texts; ``url`` is its old name. What cannot be read at all is a
`BadInput` that says where; what some client would refuse or pass over is told by `lint`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from probes.errors import BadInput
from probes.reach import IceServer
from probes.turn import Credentials
from probes.uri import IceUri, UnspokenUri, parse_uri

MAX_BYTES = 1_000_000
MAX_URLS = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """One RTCIceServer as written. ``where`` is its place: ``iceServers[2]``."""

    where: str
    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)
    credential_type: str = "password"
    old_name: bool = False


@dataclass(frozen=True, slots=True)
class Url:
    """One of an entry's URLs: as read, or why it is none that could be probed."""

    where: str
    text: str
    entry: Entry
    uri: IceUri | None
    fault: str = ""


def read_ice_servers(text: str) -> list[Entry]:
    """The entries of a JSON document. Raises `BadInput` with one line that says where; it never shows a credential."""
    if len(text) > MAX_BYTES:
        raise BadInput(f"iceServers: {len(text)} characters are too many for such a list")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = (
            f"line {error.lineno} column {error.colno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else ""
        )
        raise BadInput(f"iceServers: this is no JSON ({where or 'too deep, or a number too long'})") from None
    return [_entry(f"iceServers[{n}]", item) for n, item in enumerate(_list_of(document))]


def urls_of(entries: Sequence[Entry]) -> list[Url]:
    """Every URL of every entry, read."""
    found = [_url(f"{entry.where}.urls[{n}]", text, entry) for entry in entries for n, text in enumerate(entry.urls)]
    if len(found) > MAX_URLS:
        raise BadInput(f"iceServers: {len(found)} URLs; at most {MAX_URLS} are probed")
    return found


def servers_of(urls: Sequence[Url]) -> list[IceServer]:
    """The servers that can be probed, each with its entry's credentials, without repetitions."""
    servers = (
        IceServer(url.uri, _credentials(url.entry) if url.uri.is_turn else None) for url in urls if url.uri is not None
    )
    return list(dict.fromkeys(servers))


def _credentials(entry: Entry) -> Credentials | None:
    if entry.username is None or entry.credential is None or entry.credential_type != "password":
        return None
    return Credentials(entry.username, entry.credential)


def _list_of(document: object, *, outermost: bool = True) -> list[Any]:
    if isinstance(document, dict):
        for name in ("iceServers", "ice_servers") if outermost else ():
            if name in document:
                return _list_of(document[name], outermost=False)
        if "urls" in document or "url" in document:
            return [document]
        raise BadInput('iceServers: an object needs "iceServers" (a list), or "urls"')
    if isinstance(document, list):
        return document
    raise BadInput(f"iceServers: must be a list of servers, not {_kind(document)}")


def _entry(where: str, item: object) -> Entry:
    if not isinstance(item, dict):
        raise BadInput(f"{where}: must be an object with urls, not {_kind(item)}")
    name = "urls" if "urls" in item else "url"
    urls = item.get(name)
    urls = [urls] if isinstance(urls, str) else urls
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise BadInput(f"{where}.{name}: must be a text or a list of texts, not {_kind(urls)}")
    texts = {key: _text(where, key, item.get(key)) for key in ("username", "credential", "credentialType")}
    return Entry(
        where,
        tuple(urls),
        texts["username"],
        texts["credential"],
        texts["credentialType"] or "password",
        old_name=name == "url",
    )


def _text(where: str, key: str, value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if key == "credential" and isinstance(value, dict):
        return None  # an OAuth credential (RFC 7635): lint tells what becomes of it
    raise BadInput(f"{where}.{key}: must be a text, not {_kind(value)}")


def _url(where: str, text: str, entry: Entry) -> Url:
    try:
        return Url(where, text, entry, parse_uri(text))
    except UnspokenUri as error:
        return Url(where, text, entry, None, str(error))
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from None


def _kind(value: object) -> str:
    names = {type(None): "nothing", bool: "a truth value", str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), "a number")
