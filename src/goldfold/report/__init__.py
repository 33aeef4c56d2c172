"""The report: one self-contained HTML page, built from blocks that are independent of the task."""
