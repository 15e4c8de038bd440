"""What is there after the faults, seen from outside: documents, exported dead letters, monitoring's JSON."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families
from pymongo import MongoClient

from chaos.ledger import Content, Key, Kind
from chaos.programs import wait_until
from chaos.site import Site
from chaos.verdict import DeadLetter, SinkAccount, StoredEvent
from sextant.local.constellation import ROOT

PARTS = {
    "accepted": "sextant_events_accepted_total",
    "delivered": "sextant_events_delivered_total",
    "queued": "sextant_outbox_events",
    "dead_lettered": "sextant_events_dead_lettered_total",
    "skipped": "sextant_events_skipped_total",
}
Window = dict[str, Any]


def stored_events(site: Site) -> list[StoredEvent]:
    """Every prediction and every target in MongoDB."""
    client: MongoClient[dict[str, Any]] = MongoClient(site.mongodb_uri)
    try:
        database = client.get_database("sextant")
        predictions = [
            StoredEvent(
                _key("prediction", document),
                Content(document["prediction"], document["features"], document["context"] or {}),
            )
            for document in database.predictions.find({})
        ]
        targets = [
            StoredEvent(_key("target", document), Content(document["target"]))
            for document in database.targets.find({})
        ]
    finally:
        client.close()
    return predictions + targets


def _key(kind: Kind, document: dict[str, Any]) -> Key:
    return Key(kind, document["model"], document["prediction_id"])


def accounts(site: Site) -> list[SinkAccount]:
    """What the relay's metrics say of each sink; empty when it does not answer."""
    try:
        text = requests.get(f"{site.relay_url}/metrics", timeout=10).text
    except requests.RequestException:
        return []
    values = {
        (sample.name, sample.labels["sink"]): int(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "sink" in sample.labels
    }
    sinks = sorted({sink for _, sink in values})
    return [SinkAccount(sink, **{part: values[name, sink] for part, name in PARTS.items()}) for sink in sinks]


def drained(site: Site) -> bool:
    """Whether no event waits for any sink."""
    found = accounts(site)
    return bool(found) and not any(account.queued for account in found)


def waiting(site: Site) -> int:
    """How many events wait for a sink."""
    return sum(account.queued for account in accounts(site))


def dead_letters(site: Site) -> list[DeadLetter]:
    """All dead letters, as an operator exports them."""
    file = site.folder / "dead-letters.jsonl"
    command = [sys.executable, "-m", "prediction_service.outbox", "export", str(file)]
    subprocess.run(command, env=site.environment, cwd=ROOT, check=True, capture_output=True)
    return list(_letters(file)) + list(_letters(site.outbox.with_name(f"{site.outbox.stem}.dead-letters.jsonl")))


def _letters(file: Path) -> Iterator[DeadLetter]:
    for line in file.read_text().splitlines() if file.exists() else ():
        letter = json.loads(line)
        yield DeadLetter(letter["sink"], _key(letter["kind"], letter["event"]), letter["reason"])


def set_aside(site: Site) -> list[str]:
    """Outboxes that were renamed because they could not be read."""
    return [path.name for path in site.outbox.parent.glob("*.corrupt-*") if path.suffix == site.outbox.suffix]


def window(url: str, model: str) -> Window | None:
    """What monitoring says of a model, without the times of the evaluations; None when it does not answer."""
    try:
        answer = requests.get(f"{url}/models/{model}/drift", timeout=30)
        answer.raise_for_status()
        found: Window = answer.json()
    except (requests.RequestException, ValueError):
        return None
    return {name: value for name, value in found.items() if not name.endswith("evaluated_at")}


def is_settled(found: Window | None) -> bool:
    """Whether all is known that monitoring finds out in the background."""
    if found is None:
        return False
    verdicts = found["verdicts"]
    return bool(
        found["calibrated"]
        and any(v["name"] == "multivariate_drift" and v["threshold"] is not None for v in verdicts)
        and "estimated_mae" in found["measures"].get("", {})
    )


def windows(live_url: str, rebuilt_url: str, model: str, seconds: float) -> tuple[Window | None, Window | None]:
    """Both windows as soon as they are the same, or as they are after so many seconds."""
    found: tuple[Window | None, Window | None] = None, None
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = window(live_url, model), window(rebuilt_url, model)
        if found[0] == found[1] and is_settled(found[0]):
            break
        time.sleep(1)
    return found


def fresh_prediction_problem(site: Site, record: dict[str, Any], seconds: float) -> str | None:
    """Send one more prediction, and say where it got stuck, if it did."""
    before = {account.sink: account.delivered for account in accounts(site)}
    try:
        answer = requests.post(f"{site.url}/predict", json=record, timeout=30)
    except requests.RequestException as error:
        return f"no answer: {error}"
    if answer.status_code != 200:
        return f"{answer.status_code} {answer.text[:300]}"
    arrived = wait_until(
        lambda: drained(site) and all(a.delivered > before.get(a.sink, 0) for a in accounts(site)), seconds
    )
    return None if arrived else f"it does not arrive: {accounts(site)}"
