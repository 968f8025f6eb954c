"""Rules about the header: who sends, when, to whom, and whether every line of it can be read."""

from ...model import Where

TOP = Where(line=1, column=1)  # the place of a field that is missing
