"""The model card: what a bundle is, was learned from and is worth, for a person to read."""

from dataclasses import dataclass

from sextant.training.fit import TrainedModel
from sextant.use_cases.use_case import Split, UseCase

TEMPLATE = """\
# {name} {version}

{about}

- **Task:** {task}; the target is {target}.
- **Data:** {source}, period {period}: {training:,} rows to learn from, {reference:,} held-out rows to judge it
  and to measure drift against (`reference.parquet`), {holdout:,} more kept for undrifted replays.
- **Pipeline:** {steps}.
- **Served by:** `model.onnx`, which differs from scikit-learn by at most {difference:.2g} on the held-out rows.

## Features

| feature | kind | known values | what |
| --- | --- | --- | --- |
{features}

## On the held-out rows

| measure | this model | baseline |
| --- | --- | --- |
{measures}

The baseline always says {baseline}.

## Limits

It knows the period above and nothing since: that is what Sextant watches. Values outside of the known ones are
served all the same, and counted.
"""


@dataclass(frozen=True, slots=True)
class Origin:
    """Which bundle this is: its version, and the source and period of the data that it was learned from."""

    version: str
    source: str
    period: str


def model_card(use_case: UseCase, split: Split, model: TrainedModel, origin: Origin) -> str:
    """The card as Markdown, with the numbers of this very training."""
    return TEMPLATE.format(
        name=use_case.name,
        version=origin.version,
        about=use_case.about,
        task=use_case.task,
        target=use_case.target,
        source=origin.source,
        period=origin.period,
        training=len(split.training),
        reference=len(split.reference),
        holdout=len(split.holdout),
        steps=", then ".join(type(step).__name__ for _, step in model.pipeline.steps),
        difference=model.onnx_difference,
        features="\n".join(_feature_rows(model)),
        measures="\n".join(_measure_rows(model)),
        baseline="the commonest class" if model.classes else "the median",
    )


def _feature_rows(model: TrainedModel) -> list[str]:
    rows = []
    for feature in model.schema.features:
        if feature.categories is None:
            known = f"{feature.minimum:g} to {feature.maximum:g}"
        else:
            known = f"{len(feature.categories)} categories"
        rows.append(f"| `{feature.name}` | {feature.kind} | {known} | {feature.description} |")
    return rows


def _measure_rows(model: TrainedModel) -> list[str]:
    baseline = {name: f"{value:.3f}" for name, value in model.baseline.items()}
    return [f"| {name} | {value:.3f} | {baseline.get(name, '')} |" for name, value in model.metrics.items()]
