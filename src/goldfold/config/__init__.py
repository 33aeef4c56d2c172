"""The config: typed, strict, and read before any job runs. Imports no torch."""

from goldfold.config.load import load, parse, read, typed
from goldfold.config.root import Config

__all__ = ["Config", "load", "parse", "read", "typed"]
