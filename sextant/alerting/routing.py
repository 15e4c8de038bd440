"""Who is told of an alert, how soon, together with what, and which alert makes another one needless."""

from typing import Any

Json = dict[str, Any]

MODEL_ALERTS = (
    "ConceptDrift",
    "DataQuality",
    "DatasetDrift",
    "EstimatedPerformanceDegraded",
    "EvaluationErrors",
    "EvaluationStale",
    "FairnessGap",
    "FeatureDrift",
    "LabelCoverageLow",
    "MultivariateDrift",
    "NotCalibrated",
    "PerformanceDegraded",
    "PredictionAnomaly",
    "SegmentDrift",
)
"""What the monitoring service says of a model: worth nothing while no new predictions reach it."""

TRAFFIC_ALERTS = ("NoTraffic", "TrafficAnomaly")
"""What a prediction service that is down explains. Failed and slow requests may be those of another instance."""

SILENCED_BY_SERVICE_DOWN = {
    "monitoring": MODEL_ALERTS,
    "prediction": MODEL_ALERTS + TRAFFIC_ALERTS,
    "relay": ("EvaluationStale", "OutboxBacklog"),
}
"""By job. ServiceDown names no model, so it silences these for all models."""


def route(*, team: str, heartbeat: str) -> Json:
    """The tree of routes: `team` hears all but the heartbeat; what has no known severity counts as a warning."""
    pages = {"group_by": ["alertname", "model"], **_times(wait="10s", interval="1m", repeat="30m")}
    alive = {"receiver": heartbeat, "group_by": ["alertname"], **_times(wait="0s", interval="1m", repeat="5m")}
    return {
        "receiver": team,
        "group_by": ["model"],
        **_times(wait="1m", interval="10m", repeat="12h"),
        "routes": [
            {"matchers": ['severity="page"'], **pages},
            {"matchers": ['severity="info"'], **_times(wait="10m", interval="1h", repeat="3d")},
            {"matchers": ['severity="none"'], **alive},
        ],
    }


def inhibit_rules() -> list[Json]:
    """Which alert silences which others, and the labels that both must share."""
    same_version = ["model", "version"]
    return [
        *(_down(job, silenced) for job, silenced in SILENCED_BY_SERVICE_DOWN.items()),
        _silences("DatasetDrift", "FeatureDrift", equal=same_version),
        _silences("PerformanceDegraded", "EstimatedPerformanceDegraded", equal=same_version),
        _silences("OutboxWillFill", "OutboxBacklog", equal=[]),
        {
            "source_matchers": ['severity="page"'],
            "target_matchers": ['severity=~"warning|info"'],
            "equal": ["alertname", "model", "job"],
        },
    ]


def _times(*, wait: str, interval: str, repeat: str) -> Json:
    return {"group_wait": wait, "group_interval": interval, "repeat_interval": repeat}


def _down(job: str, silenced: tuple[str, ...]) -> Json:
    rule = _silences("ServiceDown", "|".join(silenced), equal=[])
    return {**rule, "source_matchers": [*rule["source_matchers"], f'job="{job}"']}


def _silences(source: str, target: str, *, equal: list[str]) -> Json:
    return {
        "source_matchers": [f'alertname="{source}"'],
        "target_matchers": [f'alertname=~"{target}"'],
        "equal": equal,
    }
