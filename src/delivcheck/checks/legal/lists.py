"""Rules about whole lists of elements that one statute asks for."""

from ...engine import rule
from ...facts.headers import Subject
from ...facts.jurisdictions import Jurisdictions
from ...facts.opt_out import OptOutAddresses
from ...facts.roots import Sender
from ...facts.unsubscribe_links import UnsubscribeLinks
from ...facts.wording import Wording, folded
from ...model import Findings, NotApplicable, Unavailable, Undetermined
from ...rulefiles import data
from . import NO_NAME, missing

MaybeSubject = Subject | NotApplicable | Unavailable


@rule("legal/chile-items-missing")
def chile_items_missing(
    where: Jurisdictions,
    sender: Sender,
    words: Wording,
    subject: MaybeSubject,
    left: UnsubscribeLinks | NotApplicable | Unavailable,
) -> Findings:
    law = where.law("chile")
    lacking = []
    if not isinstance(subject, Subject) or not subject.text.strip():
        lacking.append("no subject")
    if sender.names and not any(words.has(name) for name in sender.names):
        lacking.append("no name of the sender")
    if isinstance(left, UnsubscribeLinks) and not left.each and left.unknown is None:
        lacking.append("no address to leave by")
    if lacking:
        yield missing(", ".join(lacking), law, words)
    elif not sender.names:
        yield Undetermined(NO_NAME)


@rule("legal/japan-items-missing")
def japan_items_missing(
    where: Jurisdictions, sender: Sender, words: Wording, offered: OptOutAddresses | NotApplicable | Unavailable
) -> Findings:
    law = where.law("japan")
    lacking = []
    if sender.names and not any(words.has(name) for name in sender.names):
        lacking.append("no name of the sender")
    if not isinstance(offered, OptOutAddresses):
        lacking.append("no address to leave by")
    if not words.says(_leaving()):
        lacking.append("no words that one can leave")
    if lacking:
        yield missing(", ".join(lacking), law, words)
    elif not sender.names:
        yield Undetermined(NO_NAME)
    # These two may stand on a page that the mail links to (ordinance art. 9).
    if not words.address and (sender.postal_address is None or not words.has(sender.postal_address)):
        yield Undetermined("no postal address was recognised; it may stand on a page that the message links to")
    if not words.says(tuple(map(folded, data("legal-words")["contact"]["words"]))):
        yield Undetermined("no contact for complaints was recognised; it may stand on a page that the message links to")


def _leaving() -> tuple[str, ...]:
    words = data("unsubscribe-words")["words"]
    return tuple(folded(word) for language in ("ja", "en") for word in words[language])
