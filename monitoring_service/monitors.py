"""The monitors of all models that have a live version, kept in step with the models folder."""

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import structlog

from monitoring_service.model_monitor import ModelMonitor, MonitoredVersion
from sextant.contracts.errors import BundleError
from sextant.contracts.model_bundle import current_version, load_bundle, model_names

log = structlog.get_logger(__name__)


class Monitors:
    """A monitor for each model of a folder of bundles."""

    def __init__(self, models_dir: Path, window_size: int, window_seconds: float | None = None) -> None:
        self._models_dir = models_dir
        self._window_size = window_size
        self._window_seconds = window_seconds
        self._monitors: dict[str, ModelMonitor] = {}
        self._broken: dict[str, str] = {}
        self._following = threading.Lock()

    def load(self) -> None:
        """Load every live bundle; raises BundleError when there is none that can be loaded."""
        self.follow()
        if self._monitors:
            return
        if self._broken:
            raise BundleError("; ".join(self._broken.values()))
        raise BundleError(f"there is no model in {self._models_dir}; run: python prepare.py")

    def __iter__(self) -> Iterator[ModelMonitor]:
        return iter(list(self._monitors.values()))

    def names(self) -> set[str]:
        """The monitored models."""
        return set(self._monitors)

    def get(self, name: str) -> ModelMonitor | None:
        """The monitor of a model, if it is monitored."""
        return self._monitors.get(name)

    @property
    def broken(self) -> Mapping[str, str]:
        """The models whose live bundle cannot be loaded, and why."""
        return dict(self._broken)

    def has_new(self) -> bool:
        """Whether the folder holds a model that is not monitored yet, though it could be."""
        return bool(set(model_names(self._models_dir)) - self._monitors.keys() - self._broken.keys())

    def follow(self) -> None:
        """Take up new models and new live versions; a bundle that cannot be loaded leaves things as they are.

        It never raises: one bad bundle stops no other model.
        """
        with self._following:
            for name in model_names(self._models_dir):
                try:
                    self._follow_one(name)
                    self._broken.pop(name, None)
                except BundleError as error:
                    self._complain(name, str(error))
                except Exception as error:  # noqa: BLE001  whatever one bundle holds, the other models go on
                    self._complain(name, f"model bundle of {name!r} cannot be used: {error}")

    def _follow_one(self, name: str) -> None:
        monitor = self._monitors.get(name)
        if monitor is None:
            self._monitors[name] = self._new_monitor(name)
            log.info("new model is monitored", model=name)
        elif (version := current_version(self._models_dir, name)) != monitor.monitored.manifest.version:
            monitor.switch_to(MonitoredVersion.of(load_bundle(self._models_dir, name, version)))
            log.info("new model version is monitored", model=name, version=version)

    def _new_monitor(self, name: str) -> ModelMonitor:
        monitored = MonitoredVersion.of(load_bundle(self._models_dir, name))
        return ModelMonitor(monitored, self._window_size, self._window_seconds)

    def _complain(self, name: str, reason: str) -> None:
        """Once for each reason: this is tried again and again."""
        if self._broken.get(name) != reason:
            self._broken[name] = reason
            log.error("model bundle cannot be loaded, the old one stays", model=name, reason=reason)
