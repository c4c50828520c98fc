"""Faults of a file, which are reported together and not the first alone."""

from __future__ import annotations

from pathlib import Path

from stripwatch.errors import ConfigError

FAULTS_SHOWN_MAX = 20


class Faults:
    """Faults of a file, which are all reported together; a `with` block collects one."""

    def __init__(self, path: Path, texts: list[str]) -> None:
        self.path = path
        self.texts = texts

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> bool:
        """Collect a ConfigError."""
        if isinstance(error, ConfigError):
            self.texts.append(str(error))
            return True
        return False

    def raise_if_any(self) -> None:
        """Report all faults.

        Raises:
            ConfigError: there are some.
        """
        texts = list(dict.fromkeys(self.texts))
        if not texts:
            return
        if len(texts) == 1:
            raise ConfigError(f"{self.path}: {texts[0]}")
        shown = "".join(f"\n  {text}" for text in texts[:FAULTS_SHOWN_MAX])
        more = len(texts) - FAULTS_SHOWN_MAX
        rest = f"\n  and {more} more" if more > 0 else ""
        raise ConfigError(f"{self.path}: has {len(texts)} faults:{shown}{rest}")
