"""goldfold: raw data -> manifest -> folds -> cache -> (train -> predict -> pseudo_label)* -> ensemble -> submit, report."""

from snakemake.utils import min_version

min_version("9.0")


# Reads and checks the config itself: Snakemake's own parser reads 1_1 as 11, and may hang.
include: "workflow/rules/config.smk"


# A config given on the command line replaces the default; Snakemake would merge the two.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


# The stages of a detector are these same rules, for its own config.
if CONFIG.detector:

    module detector:
        snakefile:
            "workflow/detector.smk"
        config:
            {
                "detector": CONFIG.detector,
                "checked": [plan_of(CONFIG).record(Job("match"))],
            }

    use rule * from detector as detector_*

    DETECTOR = detector

    localrules:
        detector_demo,
        detector_clean,
        detector_pseudo_label,
        detector_full_label,
        detector_external,


include: "workflow/rules/stages.smk"


# On a cluster, these run in Snakemake's own process, since they take only seconds.
localrules:
    demo,
    match,
    clean,
    pseudo_label,
    full_label,
    external,


onstart:
    begin()


onsuccess:
    end()


rule all:
    default_target: True
    input:
        RESULTS,
        DETECTOR.RESULTS if DETECTOR else [],
