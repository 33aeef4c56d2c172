"""What every job needs around its work: errors, files, logs, provenance. Imports no torch."""
