"""The pages, a module for each place; what they have in common stands one floor down."""

from ..site import Page
from .audit import PAGES as AUDIT
from .check import PAGES as CHECK
from .held import PAGES as HELD
from .message import PAGES as MESSAGE
from .messages import PAGES as MESSAGES
from .overview import PAGES as OVERVIEW
from .rules import PAGES as RULES
from .statistics import PAGES as STATISTICS
from .suppressions import PAGES as SUPPRESSIONS

PAGES: tuple[Page, ...] = (
    *OVERVIEW,
    *MESSAGES,
    *MESSAGE,
    *STATISTICS,
    *RULES,
    *HELD,
    *SUPPRESSIONS,
    *CHECK,
    *AUDIT,
)
