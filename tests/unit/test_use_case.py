"""Use cases by name."""

import pytest

from sextant.use_cases.use_case import UnknownUseCase, load_use_case


def test_an_unknown_use_case_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownUseCase, match="iris, taxi"):
        load_use_case("taxis")
