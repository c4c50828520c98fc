"""Compare an engine with the float32 model, on frames."""
