"""Milter packets: octets in, values out, and back."""
