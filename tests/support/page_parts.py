"""Reading a page as a program does: which elements, attributes, ids and references it has."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

URL = re.compile(r"url\(([^)]*)\)")


@dataclass
class Parts(HTMLParser):
    """The parts of a page, in its order."""

    page: str
    tags: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attributes]

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, *names: str) -> list[str]:
        """The values of attributes of these names."""
        return [value for _, name, value in self.attributes if name in names]

    @property
    def references(self) -> list[str]:
        """Everything that a browser might follow or load."""
        named = self.values("href", "xlink:href", "src", "srcset", "action", "data", "poster")
        return named + URL.findall(self.page)


def check_stands_alone(page: str) -> Parts:
    """Assert what holds for every page: it loads and runs nothing, and its ids are in order."""
    parts = Parts(page)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(parts.tags)
    assert [name for _, name, _ in parts.attributes if name.startswith("on")] == []
    ids = parts.values("id")
    assert len(ids) == len(set(ids))
    for reference in parts.references:
        assert reference.startswith("data:image/png;base64,") or reference[1:] in ids, reference
    labels = [name for value in parts.values("aria-labelledby") for name in value.split()]
    assert labels
    assert set(labels) <= set(ids)
    assert "@import" not in page
    (policy,) = [
        value for tag, name, value in parts.attributes if tag == "meta" and "default-src" in value
    ]
    assert policy.startswith("default-src 'none';")
    assert "script-src" not in policy
    assert all(value for tag, name, value in parts.attributes if (tag, name) == ("img", "alt"))
    assert parts.tags.count("h1") == 1
    return parts
