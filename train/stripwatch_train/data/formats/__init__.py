"""Formats of labelled frames: COCO, Severstal's tables, folders of masks."""
