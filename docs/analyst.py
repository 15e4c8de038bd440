"""From MongoDB to a DataFrame, a plot and a report of your own: a script in cells, for those who know pandas.

Run it whole with `.venv/bin/python docs/analyst.py --hours 24`, or cell by cell in VS Code or, with Jupytext, in
Jupyter, from the repository's folder. It only reads from MongoDB; its files go to the folder `--out`.
"""
# ruff: noqa: E402 - the path to the packages comes before them

# %% What to look at. In a notebook there are no arguments, so these defaults are what you edit.
import argparse
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1] if "__file__" in globals() else Path.cwd()
sys.path.insert(0, str(ROOT))  # so that the packages below are found without installing them

import plotly.express as px

from sextant.contracts.model_bundle import load_bundle
from sextant.evaluation.drift.calibration_cache import CalibrationCache
from sextant.evaluation.evaluate import evaluate
from sextant.evaluation.frames import to_frame
from sextant.evaluation.reference import Reference
from sextant.evaluation.report import render
from sextant.evaluation.verdict_words import in_words
from sextant.infrastructure.event_store import EventStore
from sextant.infrastructure.settings import load_settings

settings = load_settings()  # MONGODB_URI, DATA_DIR and the rest come from the environment; see the README
parser = argparse.ArgumentParser(description="Read a window of predictions, plot it and render a report.")
parser.add_argument("--model", default=settings.default_model)
parser.add_argument("--hours", type=float, default=24.0, help="length of the window, which ends now")
parser.add_argument("--feature", default="trip_distance", help="the feature to plot")
parser.add_argument("--out", type=Path, default=settings.reports_dir, help="folder for what is made")
options = parser.parse_args([] if "ipykernel" in sys.modules else None)

# %% The model's bundle says what its features are, and holds the rows that it was judged on: the reference.
bundle = load_bundle(settings.models_dir, options.model)
version, features = bundle.manifest.version, bundle.manifest.feature_schema
reference = Reference.prepare(bundle.manifest, bundle.reference())

# %% Connect and read. `between` streams; a list is fine for a day, but for millions of rows take a sample of it.
end = datetime.now(UTC)  # times always have a zone
start = end - timedelta(hours=options.hours)
with closing(EventStore.connect(settings.mongodb_uri, settings.mongodb_database)) as store:
    stream = store.between(options.model, start, end)
    predictions = [made for made in stream if made.model_version == version]
    ids = [made.prediction_id for made in predictions]
    targets = store.targets_for(options.model, ids)  # those that have arrived
if not predictions:
    sys.exit(f"no predictions of {options.model} version {version} in the last {options.hours:g} hours")

# %% One row a prediction: features, `prediction`, `target` (missing until it arrives), segment columns.
window = to_frame(predictions, targets, bundle.manifest)
window["created_at"] = [made.created_at for made in predictions]
print(f"{len(window):,} predictions of {options.model}, {window['target'].notna().sum():,} with a target")
print(window[list(features.names)].describe().round(2))

# %% From here it is pandas. Plot the window over the reference; in a notebook, `figure.show()`.
sides = {"reference": reference.frame[options.feature], "window": window[options.feature]}
long = [{"side": side, options.feature: value} for side, values in sides.items() for value in values.dropna()]
figure = px.histogram(long, x=options.feature, color="side", histnorm="percent", barmode="overlay", opacity=0.6)
options.out.mkdir(parents=True, exist_ok=True)
figure.write_html(options.out / f"analyst_{options.model}_{options.feature}.html")

# %% The scores and thresholds that monitoring uses; where no thresholds are kept yet, they take some seconds.
calibration = CalibrationCache(settings.data_dir / "calibration").columns(
    reference, bundle.reference_sha256, false_alarm_rate=settings.false_alarm_rate
)
found = evaluate(reference, window, calibration)
for verdict in found.verdicts:
    print(f"{verdict.name} {verdict.subject}: {in_words(verdict)}")

# %% An Evidently report of any rows you choose: narrow `window` first, to one segment for example.
report = options.out / f"analyst_{options.model}_report.html"
report.write_text(render(reference, window, found, title=f"{options.model}: my window").html)
print(f"report: {report}")
