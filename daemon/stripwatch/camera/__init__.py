"""Real cameras: one process each, from the camera's buffers to frame messages."""
