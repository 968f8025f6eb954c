"""The MTA's side of the milter protocol: packets to send, and the answers read."""

import struct

VERSION, ACTIONS, STEPS = 6, 0x1FF, 0x1FFFFF  # Postfix 3.7.11


def packet(command, data=b""):
    return struct.pack("!I", 1 + len(data)) + command.encode("latin-1") + data


def offer(version=VERSION, actions=ACTIONS, steps=STEPS):
    return packet("O", struct.pack("!III", version, actions, steps))


def macros(stage, **values):
    return packet("D", stage.encode() + b"".join(f"{name}\0{value}\0".encode() for name, value in values.items()))


def connect(host="client.example", family=b"4", port=2525, address="192.0.2.7"):
    return packet("C", host.encode() + b"\0" + family + struct.pack("!H", port) + address.encode() + b"\0")


def helo(name="client.example"):
    return packet("H", name.encode() + b"\0")


def mail(address="a@sender.example", *parameters):
    return packet("M", b"".join(text.encode() + b"\0" for text in (f"<{address}>", *parameters)))


def rcpt(address="b@rcpt.example"):
    return packet("R", f"<{address}>\0".encode())


def field(name, value):
    return packet("L", name + b"\0" + value + b"\0")


END_OF_HEADER, END, ABORT, QUIT, QUIT_NC = (packet(one) for one in "NEAQK")

FIELDS = ((b"From", b" a@sender.example"), (b"Subject", b" a\n\tb"))
OCTETS = b"From: a@sender.example\r\nSubject: a\r\n\tb\r\n\r\nhello\r\n"


def content(fields=FIELDS, body=(b"hello\r\n",)):
    return b"".join(field(*one) for one in fields) + END_OF_HEADER + b"".join(packet("B", one) for one in body)


def message(
    sender="a@sender.example", recipients=("b@rcpt.example",), fields=FIELDS, body=(b"hello\r\n",), queue_id="Q1", **more
):
    """A message as Postfix sends it, with its macros."""
    return (
        macros("M", **more)
        + mail(sender)
        + b"".join(macros("R", **{"{rcpt_addr}": one}) + rcpt(one) for one in recipients)
        + macros("T", i=queue_id)
        + packet("T")
        + content(fields, body)
        + macros("E", i=queue_id)
        + END
    )


SESSION = macros("C", j="mail.example", v="Postfix 3.7.11") + connect() + macros("H", **{"{tls_version}": "TLSv1.3"}) + helo()


def read(octets):
    """The packets in octets that are all there, as (command, data)."""
    found = []
    while octets:
        (length,) = struct.unpack("!I", octets[:4])
        assert 1 <= length <= len(octets) - 4
        found.append((chr(octets[4]), octets[5 : 4 + length]))
        octets = octets[4 + length :]
    return found
