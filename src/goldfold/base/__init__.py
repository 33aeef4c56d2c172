"""Foundations: errors, files, logs, locks, GPU slots. Imports no other part of goldfold."""
