"""The way to the next hop: an SMTP client that sends the octets as they are, connections kept, routes."""
