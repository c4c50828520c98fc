"""Cameras through the libraries of their makers: any GenTL producer, and Basler's pylon."""
