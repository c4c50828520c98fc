"""stripwatch_train: trains segmentation models for stripwatch."""
