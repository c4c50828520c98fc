"""An engine compared with the float32 model, on frames."""
