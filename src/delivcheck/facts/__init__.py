"""What we know, and how each piece of it is had.

Every provider in a module of this package is found by itself; there is no list to keep. Where several can make one fact, the
first that the roots reach is taken: those of `FIRST` stand first, the other modules follow by name, and within a module the
order is that of definition. So what the user says (session, envelope) stands before what a received message tells.
"""

FIRST = ("identity",)
