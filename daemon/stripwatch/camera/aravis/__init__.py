"""Cameras of GigE Vision and USB3 Vision, through Aravis 0.8 and ctypes."""
