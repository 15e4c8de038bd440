"""What a hostile client may send as a name or value, and the structure of a page, which none of it may change."""

from html.parser import HTMLParser

HOSTILE = {
    "quotes and backslashes": '"it\'s" \\"so\\" `b` %s {{ .Status }} {{ 7*7 }} ${jndi:x}',
    "tags": "<script>alert(1)</script><img src=x onerror=alert(1)><!channel> <http://evil.example.com|here> &amp;",
    "the end of a script or style": "</script></style></title>--><script>alert(1)</script>",
    "attributes": "\" onmouseover=\"alert(1)\" x='y' onfocus='alert(1)' autofocus",
    "a script as an address": "javascript:alert(1)",
    "formatting": "[here](http://evil.example.com) **b** ||s|| ~~s~~ @everyone",
    "unicode, from right to left": "тест 模型 🚕🚕🚕 \u202eevil\u202c é",
    "lines and terminal colours": "a\r\nBcc: evil@example.com\n\nb\tc \x1b[31mred\x1b[0m",
    "1,000 characters": "x" * 1000,
    "1,000 characters of four bytes": "🚕" * 1000,
}

Element = tuple[str, tuple[str, ...]]


class Skeleton(HTMLParser):
    """The elements of a page with the names of their attributes, and where its links and loads lead."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.addresses: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.addresses += [(value or "").strip() for name, value in attrs if name in {"href", "src", "action"}]


def assert_same_structure(hostile: str, harmless: str) -> None:
    """Hostile text added no element and no attribute, and no address has become a script."""
    found = Skeleton(hostile)
    assert found.elements == Skeleton(harmless).elements
    assert not [address for address in found.addresses if address.lower().startswith(("javascript:", "data:t"))]
