"""stripwatch: inspects moving steel strip and publishes every defect as a numbered event."""

__version__ = "0.1.0"
