"""Run by the profiles beside it, before Snakemake reads the files that --configfile names."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).absolute().parents[1] / "src"))

from goldfold.base.config_files import refuse_unreadable  # noqa: E402

refuse_unreadable(sys.argv[1:])

# The Snakefile loads the code beside itself, which may be another.
del sys.path[0]
for name in [name for name in sys.modules if name.split(".")[0] == "goldfold"]:
    del sys.modules[name]
