"""The version of goldfold."""

VERSION = "0.1.0"
