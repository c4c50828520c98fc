"""Where events leave the daemon."""
