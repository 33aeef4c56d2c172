"""goldfold: raw data -> manifest -> folds -> cache -> (train -> predict -> pseudo_label)* -> ensemble -> submit, report."""

from snakemake.utils import min_version

min_version("9.0")


# Reads and checks the config itself: Snakemake's own parser reads 1_1 as 11, and may hang.
include: "workflow/rules/common.smk"


# A config given on the command line replaces the default; Snakemake would merge the two.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


include: "workflow/rules/reruns.smk"
include: "workflow/rules/demo.smk"
include: "workflow/rules/manifest.smk"
include: "workflow/rules/folds.smk"
include: "workflow/rules/cache.smk"
include: "workflow/rules/heads.smk"
include: "workflow/rules/generate.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/derive.smk"
include: "workflow/rules/predict.smk"
include: "workflow/rules/teach.smk"
include: "workflow/rules/clean.smk"
include: "workflow/rules/pseudo_label.smk"
include: "workflow/rules/full_data.smk"
include: "workflow/rules/external.smk"
include: "workflow/rules/ensemble.smk"
include: "workflow/rules/submit.smk"
include: "workflow/rules/report.smk"


# On a cluster, these run in Snakemake's own process, since they take only seconds.
localrules:
    demo,
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
        rules.ensemble.output,
        FILES["report"]["page"],
        rules.submit.output if PLAN.has_test else [],
        # All intermediate files except the cache, so that a deleted file is rebuilt.
        each_run(FILES["train"].all),
        each_run(rules.predict.output),
        [
            PLAN.outputs(job)
            for stage in (
                "embed",
                "heads",
                "heads_once",
                "inner_train",
                "inner_predict",
                "clean",
                "generate",
                "teach",
                "pseudo_label",
                "full_label",
                "full_train",
                "full_predict",
                "external",
            )
            for job in PLAN.jobs(stage)
        ],
