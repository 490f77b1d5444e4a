"""An agent's memory as its own metrics tell it, over HTTP: the embedded agent's, and pages that are none."""

import http.server
import threading
from collections.abc import Iterator

import psutil
import pytest

from calldrill.drill import parse_drill
from calldrill.errors import InputError
from calldrill.watch import RESIDENT, AgentWatch, read_metrics
from measures.host import MemorySample
from tests.agent.server import running_agent

PAGE = b"""# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 4.2e+07
# TYPE calldrill_agent_active_calls gauge
calldrill_agent_active_calls{host="a"} 2
calldrill_agent_active_calls{host="b"} 1
"""


class Page(http.server.BaseHTTPRequestHandler):
    content = PAGE

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/metrics"
        server.shutdown()
        thread.join()


def watched(url: str, number: int = 2) -> list[MemorySample]:
    seen: list[MemorySample] = []
    enough = threading.Event()

    def emit(sample: MemorySample) -> None:
        seen.append(sample)
        if len(seen) >= number:
            enough.set()

    with AgentWatch(url, emit):
        enough.wait(10)
    return seen


def test_a_remote_agent_is_watched_by_its_metrics(address: str) -> None:
    first, *_ = watched(address)
    assert (first.rss_bytes, first.pss_bytes, first.active_calls) == (42_000_000, None, 3)
    assert first.history_messages_max is None


def test_the_embedded_agent_tells_its_memory_as_the_kernel_does() -> None:
    with running_agent() as agent:
        (look, *_) = watched(f"{agent.url}/metrics", 1)
        resident = psutil.Process(agent.pid).memory_info().rss
    assert look.rss_bytes == pytest.approx(resident, rel=0.15)
    assert look.active_calls == 0


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff\xfe", b"process_resident_memory_bytes NaN\n", b"a b c d\n"])
def test_a_page_that_tells_nothing_is_no_look(address: str, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Page, "content", content)
    assert RESIDENT not in read_metrics(address)


def test_nobody_there_is_no_look() -> None:
    assert read_metrics("http://127.0.0.1:9/metrics") == {}


@pytest.mark.parametrize("address", ["tcp://host/", "host:9090", "http://user:secret@host/metrics", "http://[/"])
def test_a_bad_address_is_refused_without_repeating_a_secret(address: str) -> None:
    drill = f'[drill]\nname = "x"\n[agent]\nmetrics = "{address}"\n'.encode()
    with pytest.raises(InputError, match=r"agent\.metrics") as told:
        parse_drill(drill, "x.toml")
    assert "secret" not in str(told.value)


EMPTY = PAGE.replace(b"} 2", b"} 0").replace(b"} 1", b"} 0")


UNTOLD = b"process_resident_memory_bytes 4.2e+07\n"


class Pages:
    """The pages that an agent shows, one more a look, the last one for ever; ``at_work`` once it tells of calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *pages: bytes) -> None:
        self._monkeypatch, self.left, self.at_work = monkeypatch, list(pages), threading.Event()
        self._turn()

    def __call__(self, sample: MemorySample) -> None:
        if sample.active_calls:
            self.at_work.set()
        self._turn()

    def _turn(self) -> None:
        if self.left:
            self._monkeypatch.setattr(Page, "content", self.left.pop(0))


@pytest.mark.parametrize("before", [EMPTY, UNTOLD])
def test_it_waits_until_the_agent_holds_no_call_any_more(
    address: str, monkeypatch: pytest.MonkeyPatch, before: bytes
) -> None:
    pages = Pages(monkeypatch, before, PAGE, PAGE, PAGE, EMPTY)
    with AgentWatch(address, pages) as watch:
        assert pages.at_work.wait(30)
        assert watch.wait_until_empty(60) == 0
    assert pages.left == [], "it waited for the last page"


def test_it_does_not_wait_for_calls_that_were_there_before(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = Pages(monkeypatch, PAGE)
    with AgentWatch(address, pages) as watch:
        assert pages.at_work.wait(30)
        assert watch.wait_until_empty(60) == 0


def test_it_tells_how_many_are_left_and_that_it_cannot_tell(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = Pages(monkeypatch, EMPTY, PAGE)
    with AgentWatch(address, pages) as watch:
        assert pages.at_work.wait(30)
        assert watch.wait_until_empty(0.01) == 3
    monkeypatch.setattr(Page, "content", UNTOLD)
    with AgentWatch(address, lambda sample: None) as watch:
        assert watch.wait_until_empty(60) is None
