"""What the docs state about settings is what the code does."""

import re
from pathlib import Path

from sextant.infrastructure.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def settings_table() -> str:
    """The README's table of settings, as it must stand there."""
    rows = ["| setting | default | meaning |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        if name.endswith("_port"):
            continue  # the table of ports has them
        default = field.default
        shown = "" if default in (None, "", (), frozenset()) else f"`{default}`"
        rows.append(f"| `{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows)


def test_the_readme_lists_every_setting_with_its_default():
    assert settings_table() in (ROOT / "README.md").read_text()


def test_the_readme_lists_every_port_with_its_default():
    readme = (ROOT / "README.md").read_text()
    for name, field in Settings.model_fields.items():
        if name.endswith("_port"):
            assert re.search(rf"^\| {field.default} \| .*`{name.upper()}` \|$", readme, re.MULTILINE), name


def test_every_link_in_the_docs_leads_to_a_file():
    pages = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_the_newcomer_needs_only_the_first_twenty_lines():
    head = "\n".join((ROOT / "README.md").read_text().splitlines()[:20])
    assert "make demo" in head
    assert "make test" in head
