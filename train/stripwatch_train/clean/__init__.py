"""Learning from clean frames alone: what is unlike them is of the class `unknown` (ADR 37)."""
