"""The rows on which two models are compared: pairs that can be believed, or else each side's own rows.

Why, and when pairs are not believed, is in docs/decisions/comparing-models.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from batch_flows.compare_models.choice import Choice
from batch_flows.compare_models.comparison import MIN_ROWS
from batch_flows.compare_models.pairs import KeyedPrediction, LabelledPairs, PredictionSample, label, match
from sextant.contracts.events import Prediction, Target
from sextant.contracts.model_bundle import Manifest
from sextant.evaluation.frames import PREDICTION, PROBABILITY_PREFIX, TARGET, conform

LEAST_PARTNERED = 0.5
"""Share of the smaller side's predictions that must have a partner; fewer meet by chance, not by design."""
MOST_DISAGREEING = 0.05
"""Share of the pairs labelled on both sides whose targets may differ; more, and they are not the same events."""


@dataclass(frozen=True, slots=True)
class RowCounts:
    """What was read of A and B, and what was left out of the comparison, by the reason."""

    predictions_a: int
    predictions_b: int
    pairs: int
    pairs_without_target: int
    pairs_with_different_targets: int
    pairs_unreadable: int
    pairs_of_repeated_records: int
    without_partner_a: int
    without_partner_b: int
    no_predictions: int
    sampled_one_in: int
    without_target_a: int = 0
    without_target_b: int = 0
    """Where there are no pairs, of each side by itself."""


@dataclass(frozen=True, slots=True)
class ComparedRows:
    """The labelled rows of A and B, by position pairs unless `why_unpaired` says why not, and what was counted.

    `apart` says that one side had made its last prediction before the other made its first.
    """

    frame_a: pd.DataFrame
    frame_b: pd.DataFrame
    why_unpaired: str | None
    apart: bool
    counts: RowCounts

    @property
    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """A's rows and B's."""
        return self.frame_a, self.frame_b

    @property
    def enough(self) -> bool:
        """Whether both sides can be compared."""
        return min(len(self.frame_a), len(self.frame_b)) >= MIN_ROWS


def choose_rows(
    choice: Choice,
    by_record: PredictionSample,
    by_id: PredictionSample,
    targets: Mapping[str, Target],
    *,
    skipped: int = 0,
) -> ComparedRows:
    """Pairs where there are enough that can be believed, or else the labelled rows of each side.

    Only a sample of whole records holds both halves of its pairs, and only one of single answers is uniform.
    """
    pairs = match(*by_record.sides)
    found = label(pairs, targets)
    frame_a = _frame([(a, truth) for a, _, truth in found.rows], choice.a)
    frame_b = _frame([(b, truth) for _, b, truth in found.rows], choice.b)
    whole = (_is_whole(frame_a) & _is_whole(frame_b)).to_numpy()
    counts = RowCounts(
        predictions_a=by_record.seen[0],
        predictions_b=by_record.seen[1],
        pairs=len(pairs),
        pairs_without_target=found.unlabelled,
        pairs_with_different_targets=found.disagreeing,
        pairs_unreadable=int((~whole).sum()),
        pairs_of_repeated_records=len(pairs) - len({a.key for a, _ in pairs}),
        without_partner_a=len(by_record.sides[0]) - len(pairs),
        without_partner_b=len(by_record.sides[1]) - len(pairs),
        no_predictions=skipped,
        sampled_one_in=by_record.one_in,
    )
    why = _why_unpaired(len(pairs), min(map(len, by_record.sides)), found, int(whole.sum()))
    if why is None:
        return ComparedRows(frame_a[whole], frame_b[whole], None, False, counts)
    of_a, of_b = by_id.sides
    frame_a, frame_b = _own_rows(of_a, targets, choice.a), _own_rows(of_b, targets, choice.b)
    counts = replace(
        counts,
        sampled_one_in=by_id.one_in,
        without_target_a=len(of_a) - len(frame_a),
        without_target_b=len(of_b) - len(frame_b),
    )
    return ComparedRows(frame_a, frame_b, why, _are_apart(of_a, of_b), counts)


def _are_apart(of_a: Sequence[KeyedPrediction], of_b: Sequence[KeyedPrediction]) -> bool:
    times_a, times_b = ([answer.made.created_at for answer in side] for side in (of_a, of_b))
    return bool(times_a and times_b) and (max(times_a) < min(times_b) or max(times_b) < min(times_a))


def _why_unpaired(pairs: int, smaller_side: int, found: LabelledPairs, usable: int) -> str | None:
    if pairs < LEAST_PARTNERED * smaller_side:
        return f"{pairs:,} of the smaller side's {smaller_side:,} predictions answer a record of the other"
    if found.disagreeing > MOST_DISAGREEING * found.labelled_twice:
        differ = f"{found.disagreeing:,} of {found.labelled_twice:,} pairs with two targets have different ones"
        return f"{differ}, so equal records are not the same events"
    if usable < MIN_ROWS:
        return f"there are only {usable:,} labelled pairs, and {MIN_ROWS} are needed"
    return None


def _own_rows(
    answers: Iterable[KeyedPrediction], targets: Mapping[str, Target], manifest: Manifest
) -> pd.DataFrame:
    rows = [(a.made, targets[a.made.prediction_id].target) for a in answers if a.made.prediction_id in targets]
    frame = _frame(rows, manifest)
    return frame[_is_whole(frame)]


def _frame(rows: Sequence[tuple[Prediction, float | str]], manifest: Manifest) -> pd.DataFrame:
    """Prediction, target and probabilities of each row, in the types of the model's task."""
    found = [
        {
            **{f"{PROBABILITY_PREFIX}{name}": value for name, value in (made.probabilities or {}).items()},
            PREDICTION: made.prediction,
            TARGET: truth,
        }
        for made, truth in rows
    ]
    return conform(pd.DataFrame(found), manifest)


def _is_whole(frame: pd.DataFrame) -> "pd.Series[bool]":
    return frame[[PREDICTION, TARGET]].notna().all(axis=1)
