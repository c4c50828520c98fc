"""The operators' desk: judgements into the journal, thresholds into force."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from stripwatch.engines.manifest import DefectClass, Probability
from stripwatch.errors import ConfigError, StorageError
from stripwatch.inspect.model import Model
from stripwatch.journal.decisions import BusyError
from stripwatch.service.kept_thresholds import KEYS, Kept, holding, load_kept, save_kept
from stripwatch.stages.batches import Ticket
from stripwatch.stages.outbox import Outbox
from stripwatch.wire.event import NO_SEQ, NO_STREAM, Review, Threshold
from stripwatch.wire.operator import ClassInForce, ThresholdChange
from stripwatch.wire.requests import AskThresholds

JOURNAL_S_MAX = 2.0  # less than after which a client asks again
POLL_S = 0.1


class OperatorDesk:
    """Takes decisions in the requests thread; a reload in the main thread takes turns with it."""

    def __init__(
        self,
        outbox: Outbox,
        set_model: Callable[[Model], None],
        model: Model,
        configured: Sequence[DefectClass],
        folder: Path,
        beat: Callable[[], None],
    ) -> None:
        """Begin with what is in force.

        Args:
            outbox: journals the events.
            set_model: takes other thresholds from the next batch on.
            model: that is in force.
            configured: its classes as the configuration alone gives them.
            folder: of the journal, for the file that a restart reads.
            beat: called while the journal is waited for.
        """
        self._outbox = outbox
        self._set_model = set_model
        self._lock = threading.Lock()
        self._model = model
        self._configured = tuple(configured)
        self._folder = folder
        self._beat = beat
        self._reloading = False

    def begin_reload(self) -> None:
        """Main thread: take no change until `end_reload`, which it would undo."""
        with self._lock:
            self._reloading = True

    def end_reload(self, model: Model | None, configured: Sequence[DefectClass] = ()) -> None:
        """Main thread: the reload is over; None: it has changed nothing."""
        with self._lock:
            self._reloading = False
            if model is not None:
                self._model, self._configured = model, tuple(configured)

    def classes(self) -> tuple[ClassInForce, ...]:
        """What holds for each class from the next batch on."""
        with self._lock:
            pairs = zip(self._model.classes, self._configured, strict=True)
            return tuple(
                ClassInForce(
                    id=entry.id,
                    name=entry.name,
                    threshold=entry.threshold,
                    min_area_px=entry.min_area_px,
                    configured_threshold=given.threshold,
                    configured_min_area_px=given.min_area_px,
                )
                for entry, given in pairs
            )

    def journal(self, review: Review) -> int:
        """See `Desk.journal`."""
        return self._wait(self._outbox.offer(review))

    def change(self, request: AskThresholds) -> int | None:
        """See `Desk.change`."""
        with self._lock:
            if self._reloading:
                raise BusyError("a reload is under way; try again when it is over")
            classes = _asked(self._model.classes, request)
            changes = _changes(self._model.classes, classes)
            if not changes:
                return None
            kept = load_kept(self._folder)
            save_kept(self._folder, self._kept_with(kept, changes, request.who))
            event = Threshold(
                stream=NO_STREAM,
                seq=NO_SEQ,
                t_ns=time.time_ns(),
                who=request.who,
                changes=changes,
                note=request.note,
            )
            try:
                ticket = self._outbox.offer(event)
            except StorageError:
                save_kept(self._folder, kept)
                raise
            self._model = Model(self._model.engine_hash, classes, self._model.gate)
            self._set_model(self._model)
        return self._wait(ticket)

    def _kept_with(
        self, kept: Sequence[Kept], changes: Sequence[ThresholdChange], who: str
    ) -> list[Kept]:
        """The settings of the file after these changes."""
        given = {entry.name: entry for entry in self._configured}
        settings = {(one.class_name, one.key): one for one in holding(kept, self._configured)}
        for change in changes:
            configured = getattr(given[change.class_name], change.key)
            settings.pop((change.class_name, change.key), None)
            if change.new != configured:
                settings[change.class_name, change.key] = Kept(
                    class_name=change.class_name,
                    key=change.key,
                    value=change.new,
                    configured=configured,
                    who=who,
                    t_ns=time.time_ns(),
                )
        return list(settings.values())

    def _wait(self, ticket: Ticket) -> int:
        until_s = time.monotonic() + JOURNAL_S_MAX
        while not ticket.written.wait(POLL_S):
            self._beat()
            if time.monotonic() > until_s:
                raise StorageError(
                    f"it is not in the journal after {JOURNAL_S_MAX:g} s, and may come into it "
                    "later; look at the state of the daemon"
                )
        return ticket.seq


def _asked(classes: Sequence[DefectClass], request: AskThresholds) -> tuple[DefectClass, ...]:
    """The classes as a request wants them.

    Raises:
        ConfigError: there is no such class, or a value is not allowed.
    """
    wanted = {entry.name: entry for entry in classes}
    for setting in request.classes:
        if setting.name not in wanted:
            raise ConfigError(f"the engine has no class {setting.name!r}: {', '.join(wanted)}")
        given = {key: getattr(setting, key) for key in KEYS if getattr(setting, key) is not None}
        try:
            msgspec.convert(given.get("threshold", 0.5), Probability)
        except msgspec.ValidationError as error:
            raise ConfigError(f"threshold of {setting.name}: {error}") from None
        wanted[setting.name] = msgspec.structs.replace(wanted[setting.name], **given)
    return tuple(wanted.values())


def _changes(old: Sequence[DefectClass], new: Sequence[DefectClass]) -> tuple[ThresholdChange, ...]:
    return tuple(
        ThresholdChange(
            class_name=before.name, key=key, old=getattr(before, key), new=getattr(after, key)
        )
        for before, after in zip(old, new, strict=True)
        for key in KEYS
        if getattr(before, key) != getattr(after, key)
    )
