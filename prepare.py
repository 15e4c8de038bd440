"""Gets data and trains a model: `python prepare.py` leaves a versioned bundle that the services pick up."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sextant.contracts.errors import SextantError
from sextant.infrastructure.settings import load_settings
from sextant.training.preparation import Prepared, prepare
from sextant.use_cases.use_case import NAMES, SourceRequest, load_use_case


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare as the arguments say; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings(**({"data_dir": options.data_dir} if options.data_dir else {}))
        use_case = load_use_case(options.model)
        if options.split == "random":
            use_case = replace(use_case, time=None)
        request = SourceRequest(
            options.source, settings.data_dir / "raw", reference=options.reference, traffic=options.traffic
        )
        source = use_case.open_source(request)
        _report(prepare(use_case, source, settings.models_dir, seed=options.seed, force=options.force))
    except SextantError as error:
        print(f"prepare.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("prepare.py: stopped; a download resumes where it stopped when you run this again", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="taxi", help=f"{' or '.join(NAMES)} (default: %(default)s)")
    parser.add_argument(
        "--source",
        default="auto",
        help="tlc: download real months; synthetic: generated offline; auto: tlc, or else synthetic; "
        "or a folder of green_tripdata_YYYY-MM.parquet (default: %(default)s)",
    )
    parser.add_argument(
        "--reference", metavar="YYYY-MM", help="month to train on (default: 2021-01 or the earliest)"
    )
    parser.add_argument("--traffic", metavar="YYYY-MM", help="month to replay (default: 2022-01 or the latest)")
    parser.add_argument(
        "--split",
        choices=("time", "random"),
        default="time",
        help="time: earlier days teach the model, later ones are held out, so that thresholds hold for "
        "consecutive rows; random: as for rows without a time (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed of the training (default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="train again even if the same bundle exists")
    parser.add_argument("--data-dir", type=Path, help="default: DATA_DIR, or data")
    return parser


def _report(prepared: Prepared) -> None:
    bundle, manifest = prepared.bundle, prepared.bundle.manifest
    if prepared.model is None:
        print(f"{manifest.name} {manifest.version} already exists; nothing to do (--force trains it again)")
    else:
        baseline, later = prepared.model.baseline, prepared.model.holdout_metrics
        for name, value in prepared.model.metrics.items():
            beside = [f"baseline {baseline[name]:.3f}"] if name in baseline else []
            beside += [f"on later days {later[name]:.3f}"] if name in later else []
            print(f"  {name:<10} {value:8.3f}" + (f"   ({', '.join(beside)})" if beside else ""))
        print(f"  ONNX differs from scikit-learn by at most {manifest.onnx_max_difference:.1g}")
        for path in sorted(bundle.path.iterdir()):
            print(f"  {path.name:<18} {path.stat().st_size / 1024:8,.0f} KiB")
        print(f"{manifest.name} {manifest.version} is live")
    print(f"bundle: {bundle.path}")


if __name__ == "__main__":
    sys.exit(main())
