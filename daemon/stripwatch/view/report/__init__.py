"""The report of a strip: one page of HTML without external parts (docs/report.md)."""
