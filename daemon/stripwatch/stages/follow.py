"""A change of the configuration on its way through the pipeline, in order with the frames."""

from __future__ import annotations

import threading

from stripwatch.config.sections import Config


class Follow:
    """Other cameras, rolls or rules of grading.

    The receive thread follows it between two frames and lets it travel in a slot of its own, so
    that the deliver thread follows it between the same two. Any thread may wait for `over`.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.over = threading.Event()

    @property
    def cameras(self) -> tuple[str, ...]:
        """The names of the cameras from now on."""
        return tuple(camera.name for camera in self.config.cameras)
