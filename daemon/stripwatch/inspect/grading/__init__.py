"""Grades of a strip: its record, rules over it, and the verdict (docs/grading.md)."""
