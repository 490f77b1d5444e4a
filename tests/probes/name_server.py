"""A DNS server on loopback with the records it is given: the tests never ask another one."""

import socket
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from probes.attributes import Address


class NameServer:
    """``records`` are lines such as ``_turn._udp.a.example SRV 0 5 3478 b.example``. Use it as a context manager."""

    def __init__(self, *records: str) -> None:
        self._records = [
            dns.rrset.from_text(f"{name}.", 60, "IN", kind, data)
            for name, kind, data in (record.split(maxsplit=2) for record in records)
        ]
        self.asked: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def address(self) -> Address:
        """Where it answers."""
        return Address(*self._socket.getsockname())

    def __enter__(self) -> "NameServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while data := self._socket.recvfrom(2048):
            if not data[0]:
                return
            self._socket.sendto(self._answer(dns.message.from_wire(data[0])).to_wire(), data[1])

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        (question,) = query.question
        self.asked.append(question.to_text())
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        of_name = [rrset for rrset in self._records if rrset.name == question.name]
        for rrset in (rrset for rrset in of_name if rrset.rdtype == question.rdtype):
            found = answer.find_rrset(answer.answer, rrset.name, rrset.rdclass, rrset.rdtype, create=True)
            found.update(rrset)
        if not of_name:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer
