"""Rules about what mail clients do not show as it was meant, weighted by how many readers use them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ...engine import rule
from ...facts.client_features import ClientFeatures, Place, Seen, Use
from ...facts.message import HtmlParts
from ...facts.roots import ReaderClients
from ...model import Findings, NotApplicable, Problem, Unavailable
from ...records.clients import Client, Effect, clients, usual_mix
from ...saying import listed
from . import unread

# Percent of readers. In the usual mix Apple Mail, Gmail and Outlook for Windows have more, each by itself: the three that
# everybody tests with.
THRESHOLD = 5.0
WORD = "outlook-word"
MAX_CLIENTS = 4  # that a message names


class _Loss(NamedTuple):
    client: Client
    apps: tuple[str, ...]  # that do not support it
    share: float  # percent of all readers

    @property
    def words(self) -> str:
        if len(self.apps) == len(self.client.apps):
            return self.client.title
        return f"{self.client.title} ({', '.join(self.apps)})"


@rule("html/unsupported-by-clients")
def unsupported_by_clients(
    html: HtmlParts, used: ClientFeatures, mix: ReaderClients | NotApplicable | Unavailable, *, threshold: float = THRESHOLD
) -> Findings:
    yield from unread(html)
    yield from _problems(used, Effect.LOST, mix, threshold)


@rule("html/degraded-in-clients")
def degraded_in_clients(
    html: HtmlParts, used: ClientFeatures, mix: ReaderClients | NotApplicable | Unavailable, *, threshold: float = THRESHOLD
) -> Findings:
    yield from unread(html)
    yield from _problems(used, Effect.DEGRADED, mix, threshold)


def _problems(
    used: ClientFeatures, effect: Effect, mix: ReaderClients | NotApplicable | Unavailable, threshold: float
) -> Iterator[Problem]:
    shares = mix.percent if isinstance(mix, ReaderClients) else usual_mix()
    for use in used.each:
        if use.feature.effect is effect:
            losses = list(_losses(use, shares))
            share = sum(loss.share for loss in losses)
            if losses and share >= threshold:
                yield _problem(use, losses, share)


def _losses(use: Use, shares: Mapping[str, float]) -> Iterator[_Loss]:
    """The clients that the mix has, see the feature and do not support it, the largest first."""
    for name, percent in sorted(shares.items(), key=lambda pair: -pair[1]):
        client = clients()[name]
        apps = use.feature.lost_in(client)
        if percent and apps and any(_sees(name, place) for place in use.places):
            yield _Loss(client, apps, percent * len(apps) / len(client.apps))


def _sees(client: str, place: Place) -> bool:
    return place.seen is not (Seen.BY_OTHERS if client == WORD else Seen.BY_WORD)


def _problem(use: Use, losses: Iterable[_Loss], share: float) -> Problem:
    names = [loss.client.name for loss in losses]
    places = [place for place in use.places if any(_sees(name, place) for name in names)]
    many = f", in {len(places)} places" if len(places) > 1 else ""
    among = listed([loss.words for loss in losses], MAX_CLIENTS)
    of_readers = f"{share:.0f} % of readers" if share >= 1 else "under 1 % of readers"
    feature = use.feature
    return Problem(
        f"{feature.title}{many}: in {among} ({of_readers}) {feature.then}; last tested {feature.tested}", use.where(places[0])
    )
