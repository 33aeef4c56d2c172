"""JSON schema of the config, for editors: ``python -m goldfold.config.schema`` writes it anew."""

import json
from pathlib import Path

from goldfold.config.root import Config

PATH = Path("workflow/schemas/config.schema.json")


def schema() -> str:
    """The schema as text."""
    return json.dumps(Config.model_json_schema(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    PATH.write_text(schema())
