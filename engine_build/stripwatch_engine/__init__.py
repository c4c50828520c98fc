"""stripwatch_engine: builds inspection engines from segmentation models."""
