"""The config: typed, strict, and validated before any job runs. Imports no torch."""

from goldfold.base.config_files import merged, read, typed
from goldfold.config.load import load, parse
from goldfold.config.root import Config

__all__ = ["Config", "load", "merged", "parse", "read", "typed"]
