"""Use cases by name."""

import subprocess
import sys

import pytest

from sextant.use_cases.use_case import UnknownUseCase, load_use_case


def test_an_unknown_use_case_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownUseCase, match="iris, taxi"):
        load_use_case("taxis")


def test_use_cases_are_known_without_importing_scikit_learn_or_onnx() -> None:
    script = (
        "import sys; from sextant.use_cases.use_case import *; [load_use_case(name) for name in NAMES];"
        "print(*{'sklearn', 'skl2onnx', 'onnxruntime'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
