"""What a browser would send back if nobody touched the page."""

from html.parser import HTMLParser
from typing import Any


def form(response: Any) -> dict[str, str]:
    page = _Page()
    page.feed(response.content.decode())
    return page.sent


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, str] = {}
        self._inside = False
        self._area = self._choice = ""

    def handle_starttag(self, tag: str, pairs: Any) -> None:
        attributes = dict(pairs)
        name, value = attributes.get("name") or "", attributes.get("value") or ""
        if tag == "form":
            self._inside = (attributes.get("id") or "").endswith("_form")
        if not self._inside:
            return
        if tag == "input" and name and attributes.get("type") not in ("submit", "button", "file"):
            if attributes.get("type") not in ("checkbox", "radio") or "checked" in attributes:
                self.sent[name] = value or ("on" if attributes.get("type") == "checkbox" else "")
        elif tag == "select":
            self._choice = name
            self.sent.setdefault(name, "")
        elif tag == "option" and "selected" in attributes:
            self.sent[self._choice] = value
        elif tag == "textarea":
            self._area = name
            self.sent[name] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = ""
        if tag == "form":
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._area:
            self.sent[self._area] += data.removeprefix("\n") if not self.sent[self._area] else data
