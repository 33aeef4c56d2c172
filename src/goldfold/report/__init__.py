"""The report: one self-contained page, made of plain blocks that know nothing of the task."""
