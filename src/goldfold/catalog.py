"""Every name that a config can use, and where it is defined: name -> ``package.module:function``.

This is the only list of names: choices, error messages, the JSON schema, the reference page and the contract tests are
derived from it. Definitions are named as text, so that nothing is loaded, and no job depends on an entry that it did not
choose. Each is also written in a config as ``package.module:function`` of the user's own.
"""

TASKS: dict[str, str] = {
    "classification": "goldfold.tasks.classification:Classification",
    "multilabel": "goldfold.tasks.multilabel:MultiLabel",
    "regression": "goldfold.tasks.regression:Regression",
    "segmentation": "goldfold.tasks.segmentation:Segmentation",
    "detection": "goldfold.tasks.detection:Detection",
}
