"""What comes back to this gate, put together from the configuration: signed return paths, and the intake of reports."""

from collections.abc import Sequence

from ...trace.intake import sent_of
from ...trace.records import Event, encode
from ...trace.store import StoreError
from .. import tracing
from ..intake import Intake
from ..journal import Journal
from ..ports import Watch
from ..return_path import ReturnPaths
from ..settings import Gate, Kind
from .worker import CannotServe


def signer(gate: Gate) -> ReturnPaths | None:
    """What signs return paths, where mail is sent with them. Blocks. Raises OSError."""
    if gate.bounces is None or not gate.bounces.return_paths:
        return None
    try:
        return ReturnPaths(tracing.keys(gate), gate.bounces)
    except ValueError as error:
        raise OSError(str(error)) from error


def returns_of(gate: Gate, journal: Journal, watch: Watch) -> tuple[ReturnPaths | None, Intake | None]:
    """Both, as far as the configuration has them. Blocks. Raises CannotServe: nobody could open the paths it sends with."""
    if gate.bounces is None:
        return None, None
    try:
        signed, keys = signer(gate), tracing.keys(gate)
        if all(one.kind is not Kind.BOUNCES for one in gate.listeners):
            return signed, None
        store = tracing.store(gate)
    except (StoreError, OSError, ValueError) as error:
        raise CannotServe(f"bounces: {error}") from error

    async def note(events: Sequence[Event]) -> None:
        await journal.noted([encode(one) for one in events])

    leaving = gate.unsubscribe.mailto if gate.unsubscribe is not None else None
    return signed, Intake(
        settings=gate.bounces, tokens=keys, find=sent_of(store), note=note, leaving=leaving or "", watch=watch
    )
