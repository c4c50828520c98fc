"""The strip as a whole: places on it, its edges, and defects across frames and cameras."""
