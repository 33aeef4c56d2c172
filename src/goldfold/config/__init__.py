"""The config: typed, strict, and read before any job runs. Imports no torch."""

from goldfold.config.load import load, parse
from goldfold.config.root import Config
from goldfold.runtime.config_files import merged, read, typed

__all__ = ["Config", "load", "merged", "parse", "read", "typed"]
