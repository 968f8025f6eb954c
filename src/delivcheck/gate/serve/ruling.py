"""Builds what sending rules need: rates of the machine, and the workers' copy of the suppression list."""

from ..ports import Watch, unwatched
from ..routing.copied import Copied
from ..routing.rates import Rates
from ..routing.routing import Routing
from ..routing.rules import Rules
from ..settings import Gate


def routing_of(gate: Gate, watch: Watch = unwatched) -> Routing:
    """What the gate's sending rules are asked by. Opens nothing yet."""
    rates = Rates(gate.state) if any(rule.limit is not None for rule in gate.rules) else None
    suppressed = Copied(gate.state) if gate.trace is not None else None
    return Routing(Rules(gate.rules), rates, suppressed, watch)
