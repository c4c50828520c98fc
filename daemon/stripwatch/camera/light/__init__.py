"""The light of a camera: flat field, and the watch over it while the strip runs."""
