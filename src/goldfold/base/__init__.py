"""What everything stands on: errors, files, logs, locks, GPU slots. Imports nothing else of goldfold."""
