"""Recording what cameras send."""
