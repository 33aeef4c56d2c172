"""goldfold: raw data -> manifest -> folds -> cache -> (train -> predict -> pseudo_label)* -> ensemble -> submit, report."""

from snakemake.utils import min_version

min_version("9.0")


# A config given on the command line replaces the default; Snakemake alone would merge the two.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/manifest.smk"
include: "workflow/rules/folds.smk"
include: "workflow/rules/cache.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/predict.smk"
include: "workflow/rules/pseudo_label.smk"
include: "workflow/rules/ensemble.smk"
include: "workflow/rules/submit.smk"
include: "workflow/rules/report.smk"


onstart:
    preflight()


onsuccess:
    print(f"Report: {RESULTS}/report/report.html   Scores: {RESULTS}/metrics.json")


rule all:
    default_target: True
    input:
        f"{RESULTS}/metrics.json",
        f"{RESULTS}/report/report.html",
        SUBMISSION,
        SUBMISSION_FILES + SUBMISSION_FOLDERS if SUBMISSION else [],
