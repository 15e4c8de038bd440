"""What a process does not import at its start, because it takes seconds and is rarely asked for."""

import subprocess
import sys

import pytest

LIGHT = {
    "monitoring_service.app": {"evidently"},
    "batch_flows.reports.index": {"evidently", "pandas", "prefect"},
    "batch_flows.compare_models.choice": {"pandas", "scipy", "jinja2", "prefect"},
    "batch_flows.compare_models.summary": {"pandas", "scipy", "jinja2", "prefect"},
    "sextant.use_cases.use_case": {"sklearn", "skl2onnx", "onnxruntime"},
    "sextant.use_cases.taxi": {"sklearn", "skl2onnx", "onnxruntime"},
    "sextant.use_cases.iris": {"sklearn", "skl2onnx", "onnxruntime"},
}


@pytest.mark.parametrize("module", LIGHT)
def test_a_module_is_light(module: str) -> None:
    script = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not LIGHT[module] & set(done.stdout.split())
