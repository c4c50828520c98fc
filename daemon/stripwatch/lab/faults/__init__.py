"""The fault harness: the real daemon under faults drawn from a seed, and what must hold after."""
