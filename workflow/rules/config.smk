"""The config of the command line, checked before any job."""

import os
import sys

# Import the code next to this Snakefile, even if another goldfold is installed.
sys.path.insert(0, f"{workflow.basedir}/src")

import atexit

from goldfold.base import scheduled
from goldfold.base.errors import GoldfoldError, as_error
from goldfold.config import merged
from goldfold.config import parse as parse_config
from goldfold.lineage import provenance
from goldfold.planning.plan import Job, plan_of


def checked_config(files):
    """The typed config; an error in it ends the run before any job."""
    try:
        values = merged(files, workflow.config_settings.config)
        return parse_config(values, origin=", ".join(map(str, files)))
    except (GoldfoldError, SystemExit) as error:
        sys.exit(f"goldfold: {as_error(error)}")  # an exception would show a traceback


provenance.export_source_path(workflow.basedir)
CONFIG = checked_config(workflow.overwrite_configfiles or ["config.yaml"])
CHECKED, DETECTOR = [], None

if workflow.is_main_process and scheduled.VARIABLE in os.environ:
    atexit.register(scheduled.write, workflow, os.environ[scheduled.VARIABLE])
