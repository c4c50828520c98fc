"""The journal: every numbered event, and how far each camera was inspected, in one SQLite file."""
