"""A name server in a thread of its own, which can be stopped and started again at the same address."""

import socket
import threading
from contextlib import contextmanager

import dns.message
import dns.rdatatype

from delivcheck.model import Found, NoSuchName
from delivcheck.net.snapshot import from_mapping
from tests import servers
from tests.net.scripted import response


class NameServer:
    """Answers from a mapping as `snapshot.from_mapping` takes it, with one TTL. `asked` are the names it was asked for."""

    def __init__(self, records, ttl=300):
        self.world, self.ttl, self.asked = from_mapping(records), ttl, []
        self.host = servers.loopback()
        self.port = servers.free_port(self.host)
        self._socket = None

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def start(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.host, self.port))
        self._thread = threading.Thread(target=self._serve, args=(self._socket,))
        self._thread.start()

    def stop(self):
        """From now on nothing listens there."""
        if self._socket is not None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
                ours, self._socket = self._socket, None
                waker.sendto(b"", (self.host, self.port))
                self._thread.join(10)
            ours.close()

    def _serve(self, own):
        while True:
            query, peer = own.recvfrom(65535)
            if self._socket is not own:
                return
            own.sendto(self._answer(query), peer)

    def _answer(self, query):
        question = dns.message.from_wire(query).question[0]
        name, type_ = question.name.to_text().rstrip("."), dns.rdatatype.to_text(question.rdtype)
        self.asked.append(name)
        found = self.world._names.find(name.lower(), type_)
        soa = (f"{name or '.'}. {self.ttl} SOA ns.example. h.example. 1 3600 600 86400 {self.ttl}",)
        if isinstance(found, Found):
            return response(query, *(f"{name}. {self.ttl} {type_} {_text(type_, one)}" for one in found.records))
        return response(query, authority=soa, rcode="NXDOMAIN" if isinstance(found, NoSuchName) else "NOERROR")


def _text(type_, record):
    if type_ == "TXT":
        return " ".join('"' + one.decode().replace('"', '\\"') + '"' for one in record)
    if type_ == "MX":
        return f"{record[0]} {record[1]}."
    return f"{record}." if type_ in {"NS", "PTR", "CNAME"} else str(record)


@contextmanager
def name_server(records, ttl=300):
    """One that runs, until the block ends."""
    made = NameServer(records, ttl)
    made.start()
    try:
        yield made
    finally:
        made.stop()
