"""The runbooks in docs/runbooks as HTML: what the link of an alert opens."""

import re
from collections.abc import Collection, Sequence
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

RUNBOOKS = Path(__file__).resolve().parents[2] / "docs" / "runbooks"
OVERVIEW = "README"


class Runbooks:
    """The Markdown files of one folder, each the runbook of the alert that it is named after, and an overview."""

    def __init__(self, folder: Path = RUNBOOKS) -> None:
        self._folder = folder
        self._markdown = MarkdownIt("commonmark", {"html": False}).enable("table")

    def alerts(self) -> list[str]:
        """The alerts that have a runbook, sorted."""
        return sorted(self._names() - {OVERVIEW})

    def _names(self) -> set[str]:
        return {path.stem for path in self._folder.glob("*.md")}

    def html(self, name: str) -> str | None:
        """The runbook of an alert or the overview, or None; HTML in it is escaped, and dead links are text."""
        names = self._names()
        if name not in names:
            return None
        tokens = self._markdown.parse((self._folder / f"{name}.md").read_text("utf-8"))
        _name_headings(tokens)
        for token in tokens:
            _unlink(token.children or [], {f"{known}.md" for known in names})
        return str(self._markdown.renderer.render(tokens, self._markdown.options, {}))


def _name_headings(tokens: Sequence[Token]) -> None:
    """Give headings the ids that GitHub gives them, so that links to a section work here too."""
    for token, text in pairwise(tokens):
        if token.type == "heading_open":
            token.attrSet("id", re.sub(r"[^\w -]", "", text.content.lower()).replace(" ", "-"))


def _unlink(tokens: Sequence[Token], pages: Collection[str]) -> None:
    """Leave only the text of links to other files of the repository, which are not served."""
    dead = False
    for token in tokens:
        if token.type == "link_open":
            dead = not _leads_somewhere(str(token.attrGet("href")), pages)
        if dead and token.type in ("link_open", "link_close"):
            token.tag, token.attrs = "span", {}


def _leads_somewhere(link: str, pages: Collection[str]) -> bool:
    return "://" in link or link.startswith(("/", "#", "mailto:")) or link.partition("#")[0] in pages
