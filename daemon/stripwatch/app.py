"""The life of the process: start up, tick, shut down."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import structlog

from stripwatch._version import __version__
from stripwatch.config.sections import Config
from stripwatch.engines.load import engine_factory
from stripwatch.engines.manifest import DefectClass, load_manifest
from stripwatch.errors import ExitCode
from stripwatch.inspect.model import Model, model_of
from stripwatch.journal.mounts import network_file_system_of
from stripwatch.pipeline import Pipeline
from stripwatch.service.engine_fit import resolve_classes
from stripwatch.service.health import state_line
from stripwatch.service.kept_thresholds import Kept, applied, holding, load_kept
from stripwatch.service.monitor.monitor import Monitor
from stripwatch.service.reload_steps import ReloadSteps
from stripwatch.service.running import Running, RunningNote
from stripwatch.service.sdnotify import Notifier
from stripwatch.service.signals import SignalEvent
from stripwatch.wire.state import State

TICK_S = 0.1
NOTIFY_TICKS = 10  # the watchdog and the status line of systemd are served once a second


class App:
    """One run of the daemon. The main thread only ticks; the pipeline's threads do the work."""

    def __init__(self, path: Path, config: Config, notifier: Notifier) -> None:
        self._path = path  # of the configuration, to read it again
        self._config = config  # with which it starts
        self._notifier = notifier
        self._note = RunningNote()
        self._monitor: Monitor | None = None
        self._noted: Model | None = None  # that the note tells
        self._log = structlog.get_logger()
        self._stop = SignalEvent()
        self._abort = False
        self._reload_wanted = False
        self._reload = ReloadSteps(path, config)

    def run(self) -> ExitCode:
        """Run until SIGTERM, SIGINT or a failure.

        Raises:
            ConfigError: the configuration does not fit the engine, or an endpoint is taken.
            ModelError: the engine is missing, damaged, or cannot be loaded.
            DeviceError: the device failed more often than allowed.
            StorageError: the journal cannot be opened, or belongs to another daemon.
        """
        with self._signals():
            if self._config.metrics:
                self._monitor = Monitor(self._config.metrics.port)
            try:
                pipeline = self._start_up()
                self._main_loop(pipeline)
                return self._shut_down(pipeline)
            finally:
                if self._monitor:
                    self._monitor.close()

    def _start_up(self) -> Pipeline:
        self._notifier.status(f"{State.STARTING}: loading the engine")
        folder = Path(self._config.engine.folder)
        manifest = load_manifest(folder)
        classes = resolve_classes(self._config, manifest, self._path)
        factory = engine_factory(folder, manifest, self._config.engine)
        kept = load_kept(Path(self._config.journal.folder or "journal"))
        model = model_of(manifest, applied(kept, classes))
        self._look_at_journal_folder()
        self._log_kept(kept, classes)
        pipeline = Pipeline(self._config, model, factory, classes)
        if self._monitor:
            self._monitor.watch(pipeline.sources())
        pipeline.start(self._stop.is_set)
        if pipeline.failure is None and not self._stop.is_set():
            if not pipeline.deliverer.inspector.is_native:
                self._log.warning(
                    "inspection is slower without its native function; where more than some "
                    "hundred defective frames come in a second, install a C compiler and then "
                    "stripwatch again"
                )
            self._log.info(
                "running",
                version=__version__,
                engine=manifest.target,
                model=model.name,
                inputs=[entry.endpoint for entry in self._config.inputs],
                events=self._config.publish.endpoint,
            )
            self._write_note(pipeline.model)
            self._notifier.ready()
        return pipeline

    def _log_kept(self, kept: Sequence[Kept], configured: Sequence[DefectClass]) -> None:
        """Say which thresholds are those of an operator, and which of them hold no more."""
        held = holding(kept, configured)
        for one in kept:
            setting = {"class_name": one.class_name, "key": one.key, "value": one.value}
            if one in held:
                self._log.info("set by an operator", **setting, who=one.who)
            else:
                self._log.warning(
                    "what an operator set holds no more: the configuration has changed",
                    **setting,
                    who=one.who,
                )

    def _look_at_journal_folder(self) -> None:
        """Warn where the journal may seem to work and be damaged one day."""
        folder = Path(self._config.journal.folder or "journal")
        kind = network_file_system_of(folder)
        if kind is not None:
            self._log.warning(
                "the journal is on a network file system, where SQLite can damage it; "
                "set journal.folder to a folder on a disk of this computer",
                folder=str(folder),
                file_system=kind,
            )

    def _main_loop(self, pipeline: Pipeline) -> None:
        ticks = 0
        while not self._stop.wait(TICK_S) and pipeline.failure is None:
            ticks += 1
            self._beat()
            self._follow_reload(pipeline)
            self._follow_model(pipeline.model)
            if ticks % NOTIFY_TICKS:
                continue
            if not pipeline.is_late():
                self._notifier.watchdog()
            status = pipeline.telemetry.latest
            if status:
                missed = sum(status.drops.values())
                self._notifier.status(
                    f"{state_line(status.state, status.reasons)}; "
                    f"{status.frames_per_s:.0f} frames/s, {status.frames_inspected} inspected, "
                    f"{missed} missed or rejected"
                )

    def _beat(self) -> None:
        if self._monitor:
            self._monitor.beat()

    def _follow_reload(self, pipeline: Pipeline) -> None:
        """Begin a reload that SIGHUP asked for, or complete one that is under way."""
        if self._reload.under_way:
            if self._reload.advance(pipeline):
                self._write_note(pipeline.model)
                if self._monitor:
                    self._monitor.reload_ended(done=not self._reload.refusal)
                self._notifier.ready()
        elif self._reload_wanted:
            self._reload_wanted = False
            self._notifier.reloading()
            self._reload.begin(pipeline)

    def _follow_model(self, model: Model) -> None:
        """A request may have changed thresholds."""
        if self._noted is not None and model is not self._noted:
            self._write_note(model)

    def _write_note(self, model: Model) -> None:
        """Tell `stripwatch reload` what runs; without the note SIGHUP works as ever."""
        self._noted = model
        running = Running(
            path=str(self._path.resolve()),
            config=self._reload.config,
            engine_hash=model.engine_hash,
            classes=model.classes,
            gate=model.gate,
            reloads=self._reload.ended,
            refusal=self._reload.refusal,
        )
        try:
            self._note.write(running)
        except OSError as error:
            self._log.warning("stripwatch reload cannot see this daemon", error=str(error))

    def _shut_down(self, pipeline: Pipeline) -> ExitCode:
        """Drain the pipeline within `service.drain_timeout_s`, in the order of its stages.

        1. The receive thread closes the inputs, so that nothing new comes in, and hands on the slot
           that it fills.
        2. The engine thread finishes the slots that it has, and closes the engine.
        3. The deliver thread inspects what they carry.
        4. The outbox thread journals and publishes it, and a last status.
        5. The event socket closes when the last events have left.
        6. Every slot must have come back.
        """
        self._notifier.stopping()
        self._note.close()
        self._log.info("stopping")
        pipeline.stop()
        waited_s = 0.0
        while not pipeline.join(TICK_S):
            waited_s += TICK_S
            self._beat()
            if self._abort or waited_s >= self._config.service.drain_timeout_s:
                self._log.error("stopped before everything was inspected", waited_s=waited_s)
                if pipeline.failure is None:
                    stored = not pipeline.outbox.fault
                    return ExitCode.DRAIN_TIMEOUT if stored else ExitCode.STORAGE
                break
        if pipeline.failure is not None:
            raise pipeline.failure
        ledger = pipeline.outbox.ledger
        self._log.info("stopped", inspected=ledger.inspected, missed=sum(ledger.missed.values()))
        return ExitCode.OK

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT stop the daemon, a second one without draining; SIGHUP reloads."""

        def on_signal(_number: int, _frame: FrameType | None) -> None:
            self._abort = self._stop.is_set()
            self._stop.set()

        def on_hangup(_number: int, _frame: FrameType | None) -> None:
            self._reload_wanted = True

        before = {
            number: signal.signal(number, handler)
            for number, handler in (
                (signal.SIGTERM, on_signal),
                (signal.SIGINT, on_signal),
                (signal.SIGHUP, on_hangup),
            )
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
