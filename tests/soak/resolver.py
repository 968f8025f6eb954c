"""A name server that can fall silent: it knows a few records, and that all else does not exist."""

import socket
import threading
from contextlib import contextmanager

import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rrset

from tests.servers import loopback

SOA = "ns.example. root.example. 1 3600 600 86400 {ttl}"


class Resolver:
    def __init__(self, records, ttl):
        self.records, self.ttl, self.silent = records, ttl, False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind((loopback(), 0))
        self.address = self.socket.getsockname()

    def run(self):
        while True:
            octets, client = self.socket.recvfrom(4096)
            if not octets:
                return
            if not self.silent:
                self.socket.sendto(self._answer(dns.message.from_wire(octets)).to_wire(), client)

    def _answer(self, query):
        (question,) = query.question
        name, kind = str(question.name).rstrip(".").lower(), question.rdtype
        answer = dns.message.make_response(query, recursion_available=True)
        found = [value for key, value in self.records.items() if key.split(" ") == [name, question.to_text().split()[-1]]]
        if found:
            rdata = [dns.rdata.from_text("IN", kind, value, origin=dns.name.root, relativize=False) for value in found]
            answer.answer.append(dns.rrset.from_rdata(question.name, self.ttl, *rdata))
        else:
            if not any(key.split(" ")[0] == name or key.split(" ")[0].endswith(f".{name}") for key in self.records):
                answer.set_rcode(dns.rcode.NXDOMAIN)
            answer.authority.append(dns.rrset.from_text(".", self.ttl, "IN", "SOA", SOA.format(ttl=self.ttl)))
        return answer


@contextmanager
def resolver(records, ttl=1):
    """A name server in a thread; `silent` may be set at any time."""
    made = Resolver(records, ttl)
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        yield made
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", made.address)
        thread.join()
        made.socket.close()
