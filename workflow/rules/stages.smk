"""Rules of all stages of `CONFIG`: that of the command line, or that of its detector."""


include: "common.smk"
include: "reruns.smk"
include: "demo.smk"
include: "manifest.smk"
include: "crop.smk"
include: "folds.smk"
include: "cache.smk"
include: "heads.smk"
include: "generate.smk"
include: "train.smk"
include: "derive.smk"
include: "predict.smk"
include: "teach.smk"
include: "clean.smk"
include: "pseudo_label.smk"
include: "full_data.smk"
include: "external.smk"
include: "ensemble.smk"
include: "submit.smk"
include: "report.smk"


RESULTS = [
    *rules.ensemble.output,
    FILES["report"]["page"],
    *(rules.submit.output if PLAN.has_test else []),
    # All intermediate files except the cache, so that a deleted file is rebuilt.
    *each_run(FILES["train"].all),
    *each_run(rules.predict.output),
    *(
        path
        for stage in (
            "match",
            "crop",
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
        for path in PLAN.outputs(job)
    ),
]
