"""A reload from SIGHUP to its end, step by step, without making the main thread wait.

    read and check the file -> load another engine -> follow cameras, rolls, rules -> tell

Nothing is changed before all that can fail is done. How it ended, also where it was refused, is an
event in the journal.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import structlog

from stripwatch.config.fingerprint import config_hash
from stripwatch.config.sections import Config
from stripwatch.engines.base import EngineFactory
from stripwatch.inspect.model import Model
from stripwatch.service.changes import Change
from stripwatch.service.desk import OperatorDesk
from stripwatch.service.logs import set_log_level
from stripwatch.service.reload import Reading, Reload
from stripwatch.stages.engine_swap import Swap
from stripwatch.stages.follow import Follow
from stripwatch.wire.event import NO_SEQ, NO_STREAM, DaemonReload

CHANGES_MAX = 100  # in one event


class Line(Protocol):
    """What a reload changes: the pipeline."""

    desk: OperatorDesk

    @property
    def model(self) -> Model: ...
    def set_model(self, model: Model) -> None: ...
    def swap(self, model: Model, factory: EngineFactory) -> Swap: ...
    def follow(self, config: Config) -> Follow: ...
    def tell(self, event: DaemonReload) -> None: ...


class ReloadSteps:
    """One reload at a time; `advance` is called by each tick of the main thread."""

    def __init__(self, path: Path, config: Config) -> None:
        self._path = path
        self._log = structlog.get_logger()
        self._reading: Reading | None = None
        self._reload: Reload | None = None  # that is being made
        self._swap: Swap | None = None
        self._follow: Follow | None = None
        self.config = config  # in force
        self.ended = 0  # reloads so far
        self.refusal = ""  # why the latest changed nothing

    @property
    def under_way(self) -> bool:
        """Whether a reload has begun and not ended."""
        return bool(self._reading or self._reload)

    def begin(self, line: Line) -> None:
        """Read the file again; operators change nothing meanwhile."""
        line.desk.begin_reload()
        self._reading = Reading(self._path, self.config, line.model)

    def advance(self, line: Line) -> bool:
        """Take the next step where it is due; returns whether the reload has ended."""
        if self._reading is not None:
            return self._reading.over.is_set() and self._apply(line, self._reading)
        if self._swap is not None:
            return self._swap.over.is_set() and self._swapped(line, self._swap)
        if self._follow is not None:
            return self._follow.over.is_set() and self._done(line)
        return False

    def _apply(self, line: Line, reading: Reading) -> bool:
        self._reading = None
        reload = self._reload = reading.reload
        if reload is None:
            return self._refused(line, reading.error)
        if reload.ignored:
            self._log.warning("these changes need a restart", changes=[*map(str, reload.ignored)])
        if reload.factory is None:
            line.set_model(reload.model)
            return self._follow_on(line, reload)
        self._log.info("loading the new engine", model=reload.model.name)
        self._swap = line.swap(reload.model, reload.factory)
        return False

    def _swapped(self, line: Line, swap: Swap) -> bool:
        self._swap = None
        if swap.error is not None:
            return self._refused(line, swap.error)
        assert self._reload is not None
        return self._follow_on(line, self._reload)

    def _follow_on(self, line: Line, reload: Reload) -> bool:
        """What cannot fail any more."""
        set_log_level(reload.config.service.log_level)
        if not _differs(self.config, reload.config):
            return self._done(line)
        self._follow = line.follow(reload.config)
        return False

    def _done(self, line: Line) -> bool:
        reload = self._reload
        assert reload is not None
        self._follow = None
        self.config = reload.config
        line.desk.end_reload(reload.model, reload.configured)
        changes = [*map(str, reload.changes)]
        self._log.info("reloaded", model=reload.model.name, changes=changes)
        return self._end(line, reload.model, reload.changes, reload.ignored)

    def _refused(self, line: Line, error: Exception | None) -> bool:
        line.desk.end_reload(None)
        self._log.error("not reloaded; the running engine and settings stay", error=str(error))
        return self._end(line, line.model, refusal=str(error) or "unknown")

    def _end(
        self,
        line: Line,
        model: Model,
        changes: Sequence[Change] = (),
        ignored: Sequence[Change] = (),
        refusal: str = "",
    ) -> bool:
        self._reload = None
        self.ended += 1
        self.refusal = refusal
        line.tell(
            DaemonReload(
                stream=NO_STREAM,
                seq=NO_SEQ,
                t_ns=time.time_ns(),
                result="refused" if refusal else "done",
                model=model.name,
                config=config_hash(self.config),
                changes=_texts(changes),
                need_restart=_texts(ignored),
                detail=refusal,
            )
        )
        return True


def _differs(old: Config, new: Config) -> bool:
    """Whether what travels through the pipeline has changed."""
    parts = ((one.cameras, one.rolls, one.grading) for one in (old, new))
    before, after = parts
    return before != after


def _texts(changes: Sequence[Change]) -> tuple[str, ...]:
    texts = [str(change) for change in changes[:CHANGES_MAX]]
    rest = len(changes) - len(texts)
    return (*texts, *([f"and {rest} more"] if rest else []))
