"""The stages, put together: receive -> slot -> engine -> deliver -> outbox.

Named threads hand slots to each other, and two more decode images into their rows; the thread that
makes the pipeline only watches them.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import zmq

from stripwatch._version import __version__
from stripwatch.config.fingerprint import config_hash
from stripwatch.config.sections import Config
from stripwatch.engines.base import EngineFactory
from stripwatch.engines.manifest import DefectClass
from stripwatch.inspect.model import Model
from stripwatch.journal.answers import Answers
from stripwatch.journal.requests import RequestServer
from stripwatch.journal.retention import limits_of
from stripwatch.journal.store import Journal
from stripwatch.net.door import Door, open_door
from stripwatch.outputs.images import Images
from stripwatch.outputs.pictures import Pictures
from stripwatch.outputs.publish import Publisher
from stripwatch.service.desk import OperatorDesk
from stripwatch.service.monitor.sources import Sources
from stripwatch.service.status import Telemetry
from stripwatch.stages.decode import THREADS as DECODE_THREADS
from stripwatch.stages.decode import Decoders
from stripwatch.stages.deliver import Deliverer
from stripwatch.stages.engine_loop import EngineLoop
from stripwatch.stages.engine_swap import Swap
from stripwatch.stages.follow import Follow
from stripwatch.stages.heartbeat import Heartbeat
from stripwatch.stages.outbox import Outbox
from stripwatch.stages.receive import Receiver
from stripwatch.stages.resume import resume, resume_grades
from stripwatch.stages.slots import SlotRing
from stripwatch.stages.warm import warm_up
from stripwatch.wire.event import NO_SEQ, NO_STREAM, DaemonReload, DaemonStart, DaemonStop

THREADS = ("receive", "engine", "deliver", "outbox", "images", "pictures")  # and those that decode
DECODERS = tuple(f"decode-{number}" for number in range(1, DECODE_THREADS + 1))
LINGER_MS = 1000  # for the last events to leave


class Pipeline:
    """The running daemon, less the process around it."""

    def __init__(
        self,
        config: Config,
        model: Model,
        factory: EngineFactory,
        configured: Sequence[DefectClass] = (),
    ) -> None:
        """Allocate all frame memory and open all sockets.

        Args:
            config: the whole of it.
            model: that the engine runs.
            factory: makes the engine on the slots' memory.
            configured: its classes as the configuration alone gives them; (): the model's.

        Raises:
            AddressError: an endpoint cannot be bound or connected.
            ConfigError: the daemon's key or the allow-list cannot be used.
            StorageError: the journal cannot be opened, or belongs to another daemon.
        """
        self._config = config
        self._context = zmq.Context()
        self._stop = threading.Event()
        self._beats = {name: Heartbeat() for name in (*THREADS, *DECODERS)}
        self._ring = SlotRing(config.batch.rows, config.line.frame_shape)
        self._journal = Journal(Path(config.journal.folder or "journal"))
        try:
            self.door = self._open_door()
            past = self._journal.past()
            names = [camera.name for camera in config.cameras]
            self.publisher = Publisher(self._context, config.publish, names, self.door)
            images = self._images = Images()
            pictures = self._pictures = Pictures(config.pictures, self._journal.path.parent)
            limits = limits_of(config.journal)
            self.outbox = Outbox(
                self._journal, past, self.publisher, images, pictures, limits, self._beats["outbox"]
            )
            self.desk, self._requests = self._open_requests(model, configured or model.classes)
            decoders = self._decoders = Decoders(self._ring)
            self.receiver = Receiver(
                config,
                self._ring,
                decoders,
                self._context,
                self._beats["receive"],
                lambda: bool(self.outbox.fault),
                self.door,
            )
        except Exception:
            self._journal.close()
            self._context.destroy(linger=0)
            raise
        self._engine_loop = EngineLoop(
            model, factory, config.engine, self._ring, self._beats["engine"]
        )
        self.deliverer = Deliverer(
            config,
            self._ring,
            self.outbox,
            self.publisher,
            images,
            pictures,
            self._beats["deliver"],
        )
        self.telemetry = self._make_telemetry()
        resume(past, self.receiver, self.deliverer.inspector)
        if config.grading.rules:
            resume_grades(past, self.deliverer.grades, self._journal.path.parent)
        self._threads = self._make_threads()
        self._failures: list[BaseException] = []  # what ended threads; each appends its own

    def sources(self) -> Sources:
        """What metrics and health are read from."""
        return Sources(
            self._beats,
            self._ring,
            self._decoders,
            self._engine_loop,
            self.outbox,
            self._images,
            self._pictures,
            self.telemetry,
            self._journal.path.parent,
        )

    def start(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Start the threads; return when the engine is warm, failed, or a stop is asked for."""
        if self.door:
            self.door.start(self._beats["door"].beat)
        warm_up(self._config)
        engine, *others = self._threads
        engine.start()
        while not self._engine_loop.ready.wait(0.1):
            if self.failure or should_stop():
                break
        for beat in self._beats.values():
            beat.beat()
        for thread in others:
            thread.start()

    @property
    def model(self) -> Model:
        """The model of the next batch."""
        return self._engine_loop.model

    def set_model(self, model: Model) -> None:
        """Take other thresholds and minimum areas from the next batch on, with the same engine."""
        self._engine_loop.set_model(model)

    def swap(self, model: Model, factory: EngineFactory) -> Swap:
        """Change the engine while frames flow; see `EngineLoop.swap`."""
        return self._engine_loop.swap(model, factory)

    def follow(self, config: Config) -> Follow:
        """Take other cameras, rolls and rules of grading while frames flow."""
        change = Follow(config)
        self.publisher.follow(change.cameras)
        self.receiver.follow(change)
        return change

    def tell(self, event: DaemonReload) -> None:
        """Journal and publish an event of the daemon itself."""
        self.outbox.tell(event)

    @property
    def failure(self) -> BaseException | None:
        """The error that ended a thread or the engine, if there is one."""
        if self._failures:
            return self._failures[0]
        return self._engine_loop.failure or (self.door.failure if self.door else None)

    def is_late(self) -> bool:
        """Whether a thread has been silent for longer than what it does may take."""
        return any(beat.is_late() for beat in self._beats.values())

    def stop(self) -> None:
        """Ask the threads to finish the slots that they hold, and end."""
        self._stop.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the threads to end and close the sockets; False when time ran out."""
        until_s = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0, until_s - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            return False
        self.publisher.close(LINGER_MS)
        if self.door:
            self.door.close()
        self._journal.close()
        self._context.term()
        if self.failure is None:
            self._ring.assert_all_free()
        return True

    def _make_telemetry(self) -> Telemetry:
        return Telemetry(
            self.receiver,
            self._engine_loop,
            self.outbox,
            self.publisher,
            self.deliverer.inspector.light,
            self._stop,
            lambda: self.failure,
            self.door,
        )

    def _make_threads(self) -> list[threading.Thread]:
        """All threads of the pipeline; the engine's is the first."""
        threads = [
            self._thread("engine", self._engine_loop.run),
            self._thread("receive", lambda: self.receiver.run(self._stop)),
            self._thread("deliver", self.deliverer.run),
            self._thread(
                "outbox",
                lambda: self.outbox.run(self._start_event(), self._stop_event, self.telemetry.tick),
            ),
            self._thread(
                "images", lambda: self._images.run(self._beats["images"].beat, self.outbox.wake)
            ),
            self._thread("pictures", lambda: self._pictures.run(self._beats["pictures"].beat)),
            *(
                self._thread(name, functools.partial(self._decoders.run, beat))
                for name, beat in self._beats.items()
                if name.startswith("decode-")
            ),
        ]
        if self._requests:
            serve = functools.partial(self._requests.run, self._stop, self._beats["requests"].beat)
            threads.append(self._thread("requests", serve))
        return threads

    def _open_door(self) -> Door | None:
        """Who decides about the clients' keys, where they need one."""
        door = open_door(self._context, self._config.security)
        if door:
            self._beats["door"] = Heartbeat()
        return door

    def _open_requests(
        self, model: Model, configured: Sequence[DefectClass]
    ) -> tuple[OperatorDesk, RequestServer | None]:
        """Where operators decide, and the end for clients where one is configured."""
        settings = self._config.requests
        beat = Heartbeat()
        folder = self._journal.path.parent
        desk = OperatorDesk(self.outbox, self.set_model, model, configured, folder, beat.beat)
        if settings is None:
            return desk, None
        self._beats["requests"] = beat
        answers = Answers(folder, lambda: self.telemetry.latest, desk)
        return desk, RequestServer(self._context, settings.endpoint, answers, self.door)

    def _start_event(self) -> DaemonStart:
        return DaemonStart(
            stream=NO_STREAM,
            seq=NO_SEQ,
            t_ns=time.time_ns(),
            version=__version__,
            model=self.model.name,
            config=config_hash(self._config),
        )

    def _stop_event(self) -> DaemonStop:
        return DaemonStop(
            stream=NO_STREAM,
            seq=NO_SEQ,
            t_ns=time.time_ns(),
            reason="failed" if self.failure else "stopped",
            detail=str(self.failure or ""),
        )

    def _thread(self, name: str, run: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                run()
            except BaseException as error:  # noqa: BLE001 - the main thread reports and exits
                self._failures.append(error)

        return threading.Thread(target=guarded, name=name, daemon=True)
