"""Counts work instead of time: what a machine under load does not change."""

import sys


class Calls:
    """Counts calls of functions, Python's own and C's, as a profiler does."""

    def __init__(self):
        self.count = 0

    def __enter__(self):
        sys.setprofile(self._called)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)

    def _called(self, _frame, event, _argument):
        if event in {"call", "c_call"}:
            self.count += 1
