"""Rules about how a message is put together, encoded and labelled."""

from collections.abc import Iterator

from ...mime.message import Message, Part


class Beside:
    """The leaves shown in place of a part, as `Message.alternatives_of` has them, each multipart walked but once.

    A message may have 10,000 parts in one multipart/alternative; to walk it for each of them takes minutes.
    """

    def __init__(self, message: Message) -> None:
        self._message = message
        self._known: dict[tuple[Part, str, bool], list[tuple[Part, list[Part]]]] = {}

    def of(self, part: Part, kind: str) -> Iterator[Part]:
        """Those of one content type, in the order of the message."""
        branch, around = part, self._message.parent(part)
        while around is not None and around.is_multipart:
            if around.content_type == "multipart/alternative":
                for child, leaves in self._branches(around, kind, nested=part.nested):
                    if child is not branch:
                        yield from leaves
                return
            branch, around = around, self._message.parent(around)

    def _branches(self, around: Part, kind: str, *, nested: bool) -> list[tuple[Part, list[Part]]]:
        key = (around, kind, nested)
        if key not in self._known:
            branches = (
                (child, [leaf for leaf in child.walk() if _shown(leaf, kind, nested=nested)]) for child in around.children
            )
            self._known[key] = [(child, leaves) for child, leaves in branches if leaves]
        return self._known[key]


def _shown(leaf: Part, kind: str, *, nested: bool) -> bool:
    return leaf.is_leaf and leaf.content_type == kind and leaf.nested == nested and leaf.disposition != "attachment"
