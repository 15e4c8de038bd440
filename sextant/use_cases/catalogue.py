"""The use cases by name; each is imported only when it is asked for."""

from importlib import import_module

from sextant.contracts.errors import Fatal
from sextant.use_cases.use_case import UseCase

NAMES = ("iris", "taxi")


class UnknownUseCase(Fatal):
    """There is no use case of that name."""


def use_case(name: str) -> UseCase:
    """The use case of that name; raises UnknownUseCase, which lists the known ones."""
    if name not in NAMES:
        raise UnknownUseCase(f"there is no use case {name!r}; known are: {', '.join(NAMES)}")
    found: UseCase = import_module(f"sextant.use_cases.{name}").USE_CASE
    return found
