"""Which strip is under a camera: its coil id, and where it begins and ends."""
