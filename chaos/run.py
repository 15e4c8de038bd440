"""One run: the constellation under load, faults at random, silence, and then the questions."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from chaos import evidence
from chaos.faults import possible_faults
from chaos.faults.disk import heal
from chaos.faults.kinds import LONGEST_PAUSES, Fault, deal
from chaos.ledger import Key, Ledger
from chaos.programs import Program, wait_until
from chaos.site import Site
from chaos.traffic import Clients
from chaos.verdict import Check, Evidence, check_all
from sextant.contracts.model_bundle import load_bundle
from sextant.local.constellation import commands
from sextant.traffic.rows import Traffic, to_traffic
from sextant.training.preparation import prepare
from sextant.use_cases.synthetic_trips import synthetic_month
from sextant.use_cases.use_case import Source, load_use_case

MODEL = "taxi"
ROWS = 2_000
WINDOW_ROWS = 4_000
PROGRESS_SECONDS = 10.0
ACKNOWLEDGED_BETWEEN = 20
LONGEST_OUTAGE_SECONDS = 15.0
ANSWER_SECONDS, STALLED_SECONDS, FRESH_SECONDS, WINDOW_SECONDS = 180.0, 60.0, 60.0, 180.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """All that a run showed."""

    seed: int
    seconds: float
    faults: Mapping[str, int]
    skipped: Mapping[str, str]
    predictions: int
    targets: int
    counts: Mapping[str, int]
    ended_unasked: Mapping[str, Sequence[int]]
    checks: Sequence[Check]
    timeline: Sequence["Done"] = ()

    @property
    def holds(self) -> bool:
        """Whether every check holds."""
        return all(check.holds for check in self.checks)


@dataclass(frozen=True, slots=True)
class Done:
    """A fault that was tried: when it began and how long it took, in seconds, and whether it happened."""

    fault: str
    at: float
    took: float
    happened: bool


@dataclass
class Saboteurs:
    """One thread for each lane of faults."""

    site: Site
    ledger: Ledger
    seed: int
    faults: Sequence[Fault]
    done: Counter[str] = field(default_factory=Counter)
    timeline: list[Done] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin."""
        for lane in LONGEST_PAUSES:
            thread = threading.Thread(target=self._run, args=(lane,), name=f"faults: {lane}", daemon=True)
            self.threads.append(thread)
            thread.start()

    def _run(self, lane: str) -> None:
        random = Random(f"{self.seed} {lane}")
        for fault in deal([fault for fault in self.faults if fault.lane == lane], random):
            self._let_it_work(random.uniform(LONGEST_PAUSES[lane] / 4, LONGEST_PAUSES[lane]))
            if self.site.stopping.is_set():
                return
            at, happened = time.monotonic(), False
            try:
                happened = fault.inject(self.site, random)
                if lane == "disk":
                    heal(self.site)
            except Exception as error:  # noqa: BLE001  the run goes on, and fails in the end
                self.problems.append(f"the fault {fault.name!r} failed: {error!r}")
            self.done[fault.name] += happened
            took = time.monotonic() - at
            self.timeline.append(Done(fault.name, round(at - self.began, 2), round(took, 2), happened))

    def _let_it_work(self, seconds: float) -> None:
        """Until something is acknowledged again: a fault that meets a site that is down shows little."""
        self.site.pause(seconds)
        enough = len(self.ledger) + ACKNOWLEDGED_BETWEEN
        wait_until(lambda: len(self.ledger) >= enough or self.site.stopping.is_set(), LONGEST_OUTAGE_SECONDS)

    def stop(self, seconds: float = 60.0) -> None:
        """No new fault; those under way are ended."""
        self.site.stopping.set()
        for thread in self.threads:
            thread.join(seconds)


def run(folder: Path, seed: int, seconds: float, say: Say) -> Outcome:
    """Run once in a folder; everything that was started has ended when it returns or raises."""
    say("training a model and starting the constellation ...")
    rows = make_model(folder / "data" / "models")
    with Site(folder, WINDOW_ROWS) as site:
        ledger = Ledger()
        manifest = load_bundle(folder / "data" / "models", MODEL).manifest
        clients = Clients(site.url, rows, manifest, ledger, seed=seed)
        faults, skipped = possible_faults(site, clients)
        for name, reason in skipped.items():
            say(f"skipped: {name} ({reason})")
        saboteurs = Saboteurs(site, ledger, seed, faults)
        disturb(clients, saboteurs, ledger, seconds, say)
        found = gather(site, ledger, rows, seed, say)
        obligations = ledger.obligations()
        kinds = Counter(key.kind for key in obligations.acknowledged)
        return Outcome(
            seed=seed,
            seconds=seconds,
            faults={name: times for name, times in saboteurs.done.items() if times},
            skipped=skipped,
            predictions=kinds["prediction"],
            targets=kinds["target"],
            counts=dict(ledger.counts),
            ended_unasked={name: program.ended_unasked for name, program in site.programs.items()},
            checks=check_all(obligations, found),
            timeline=sorted(saboteurs.timeline, key=lambda done: done.at),
        )


def disturb(clients: Clients, saboteurs: Saboteurs, ledger: Ledger, seconds: float, say: Say) -> None:
    """Traffic and faults until the time is over, and then the last answers."""
    unanswered = 0
    try:
        clients.start()
        saboteurs.start()
        show_progress(seconds, ledger, saboteurs, say)
        saboteurs.stop()
        say("the faults have ended; waiting for the last answers ...")
        unanswered = clients.stop(ANSWER_SECONDS)
    finally:
        saboteurs.stop(seconds=5)
        clients.abandon()
    if unanswered:
        ledger.complain(f"{unanswered} clients have no answer {ANSWER_SECONDS:.0f} s after the last fault")
    ledger.unexpected += saboteurs.problems


def make_model(models_dir: Path) -> Traffic:
    """A small real model, and rows of a later month to send to it."""
    use_case = replace(
        load_use_case(MODEL), time=None
    )  # nobody asks for alarms here, and their nulls take a while
    source = Source("synthetic", "2021-01", "2022-01", lambda month: synthetic_month(month, ROWS))
    prepare(use_case, source, models_dir, seed=0, force=False)
    examples = use_case.to_examples(source.traffic()).complete(use_case.limits)
    return to_traffic(examples, (), np.random.default_rng(0))


def show_progress(seconds: float, ledger: Ledger, saboteurs: Saboteurs, say: Say) -> None:
    """A line now and then, until the time is over."""
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < seconds:
        saboteurs.site.pause(min(PROGRESS_SECONDS, seconds - elapsed))
        done = saboteurs.done
        say(
            f"{time.monotonic() - began:6.0f} s  {len(ledger):>8,} acknowledged"
            f"  {ledger.counts['retries']:>6,} retries  {done.total():>4} faults of {len(done)} kinds"
        )


def gather(site: Site, ledger: Ledger, rows: Traffic, seed: int, say: Say) -> Evidence:
    """Wait until everything has arrived, and look at what is there."""
    wait_until(site.is_ready, ANSWER_SECONDS)
    say("draining the outbox ...")
    before = evidence.waiting(site)
    while not wait_until(lambda: evidence.drained(site), STALLED_SECONDS, pause=0.5):
        if (left := evidence.waiting(site)) >= before:  # a slow machine may take its time
            break
        before = left
    problem = send_fresh(site, ledger, rows, seed)
    say("comparing monitoring's window with one rebuilt from MongoDB ...")
    live, rebuilt = compare_windows(site)
    say("reading what is stored ...")
    return Evidence(
        stored=evidence.stored_events(site),
        dead_letters=evidence.dead_letters(site),
        accounts=evidence.accounts(site),
        set_aside=evidence.set_aside(site),
        unexpected=ledger.unexpected,
        fresh_prediction_problem=problem,
        live_window=live,
        rebuilt_window=rebuilt,
    )


def send_fresh(site: Site, ledger: Ledger, rows: Traffic, seed: int) -> str | None:
    """One prediction more, which is no longer disturbed."""
    record: dict[str, Any] = {**{str(name): value for name, value in rows.records[0].items()}}
    key = Key("prediction", MODEL, f"fresh-{seed:x}")
    ledger.attempt(key)
    return evidence.fresh_prediction_problem(site, record | {"prediction_id": key.prediction_id}, FRESH_SECONDS)


def compare_windows(site: Site) -> tuple[evidence.Window | None, evidence.Window | None]:
    """The window of the monitoring that lived through it, and that of a new one."""
    port = site.ports["spare"]
    log = site.data_dir / "logs" / "monitoring-rebuilt.log"
    again = Program(
        "rebuilt", commands()["monitoring"], site.marked_environment | {"MONITORING_PORT": str(port)}, log
    )
    try:
        again.start()
        return evidence.windows(site.monitoring_url, f"http://127.0.0.1:{port}", MODEL, WINDOW_SECONDS)
    finally:
        again.close()
