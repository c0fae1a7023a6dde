"""``$id`` and ``$ref``: links between the objects of one document.

>>> links = Links({"parties": [{"$id": "/parties/0", "name": "Inga"}]})
>>> links.key("parties", {"$ref": "/parties/0"})
"/parties/0"
"""

from collections.abc import Iterator, Mapping
from typing import Any

from scalepoint_integration.payloads.reading import Node, as_text


class Links:
    """Lists of a document by name. Every object in them has a key: its ``$id``, else its place."""

    def __init__(self, lists: Mapping[str, Any]) -> None:
        self._rows: dict[str, dict[str, Node]] = {name: {} for name in lists}
        self._places: dict[str, str] = {}
        for name, listed in lists.items():
            for place, value in enumerate(listed if isinstance(listed, list) else [listed]):
                node = Node(value)
                if node:
                    # By its place it is known too, as a JSON pointer would say it.
                    self._places.setdefault(f"/{name}/{place}", self._add(name, node, place))

    def rows(self, name: str) -> Iterator[tuple[str, Node]]:
        """(key, object) of a list; what is itself only a link is no row of its own."""
        return ((key, node) for key, node in list(self._rows[name].items()) if not node.text("$ref"))

    def key(self, name: str, value: Any) -> str:
        """The key of what a value leads to in the list of that name. "" where it leads nowhere, or in a circle."""
        node, seen = Node(value), set[str]()
        ref = node.text("$ref") or as_text(value)
        if not ref:
            if not node:
                return ""
            given = node.text("$id")
            return given if given in self._rows[name] else self._add(name, node, len(self._rows[name]))
        while ref not in seen:
            seen.add(ref)
            found = ref if ref in self._rows[name] else self._places.get(ref.removeprefix("#").casefold(), "")
            target = self._rows[name].get(found)
            if target is None:
                return ""
            ref = target.text("$ref")
            if not ref:
                return found
        return ""

    def keys(self, name: str, value: Any) -> tuple[str, ...]:
        found = (self.key(name, each) for each in (value if isinstance(value, list) else [value]))
        return tuple(dict.fromkeys(key for key in found if key))

    def _add(self, name: str, node: Node, place: int) -> str:
        rows = self._rows[name]
        key = node.text("$id")[:100]
        while not key or key in rows:  # the same $id twice: the first keeps it
            key, place = f"/{name}/{place}", place + 1
        rows[key] = node
        return key
