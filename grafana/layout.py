"""Where panels stand: sections of lines, laid out from left to right on Grafana's grid of 24 columns."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

Stack = Sequence["Sized"]


@dataclass(frozen=True)
class Sized:
    """A panel with its width and height in cells."""

    panel: Builder[models.Panel]
    width: int
    height: int


@dataclass(frozen=True)
class Section:
    """A titled row and the lines under it; in a line stand panels and stacks (tuples) of panels.

    With `repeat` it is shown once for each chosen value of that variable.
    """

    title: str
    lines: tuple[tuple[Sized | Stack, ...], ...]
    repeat: str | None = None


@dataclass
class _Cursor:
    y: int = 0
    last_id: int = 0

    def next_id(self) -> int:
        self.last_id += 1
        return self.last_id


def arrange(sections: Iterable[Section]) -> list[models.Panel | models.RowPanel]:
    """All panels in their places, with ids in the order of reading."""
    cursor = _Cursor()
    return [panel for section in sections for panel in _section(section, cursor)]


def _section(section: Section, cursor: _Cursor) -> list[models.Panel | models.RowPanel]:
    place = models.GridPos(x=0, y=cursor.y, w=24, h=1)
    row = models.RowPanel(title=section.title, grid_pos=place, id_val=cursor.next_id(), repeat=section.repeat)
    cursor.y += 1
    inside = [panel for line in section.lines for panel in _line(line, cursor)]
    return [row, *inside]


def _line(line: Iterable[Sized | Stack], cursor: _Cursor) -> Iterator[models.Panel]:
    x = height = 0
    for item in line:
        stack = [item] if isinstance(item, Sized) else item
        y = cursor.y
        for sized in stack:
            yield _placed(sized, cursor.next_id(), x, y)
            y += sized.height
        x, height = x + max(sized.width for sized in stack), max(height, y - cursor.y)
    cursor.y += height


def _placed(sized: Sized, number: int, x: int, y: int) -> models.Panel:
    panel = sized.panel.build()
    panel.id_val = number
    panel.grid_pos = models.GridPos(x=x, y=y, w=sized.width, h=sized.height)
    return panel
