# Trains models on all labelled rows: same work as a training of a fold, on another list, and without validation.
use rule train as full_train with:
    input:
        recipe=recipe("full_train"),
        fold=case_list("full_train"),
        classes=folds_file("classes.json"),
        metadata=metadata_lists("full_train"),
        groups=group_lists("full_train"),
        unlabeled=unlabeled_lists("full_train"),
        cache=cache_for("full_train"),
        checked=checked_first("full_train"),
        pseudo=read_from("full_label", "full_train"),
        start=read_from("full_train", "full_train"),
        histories=lambda wildcards: PLAN.histories(job_at("full_train", wildcards)),
    output:
        model=FILES["full_train"]["model"],
        history=FILES["full_train"]["history"],
        record=FILES["full_train"]["record"],
    log:
        FILES["full_train"].log,
    benchmark:
        FILES["full_train"].benchmark
    params:
        how=slices.work(CONFIG),
        gpus=lambda wildcards: slices.gpus(CONFIG, wildcards.model),
        caches=cache_folders("full_train"),
        script=training_script,


# Predicts the test images and the holdout alone: there is no validation fold.
use rule predict as full_predict with:
    input:
        recipe=recipe("full_predict"),
        model=rules.full_train.output.model,
        classes=folds_file("classes.json"),
        lists=lambda wildcards: [
            folds_file(f"{split}.csv")(wildcards) for split in PLAN.predicted
        ],
        metadata=metadata_lists("full_predict"),
        cache=cache_for("full_predict"),
    output:
        parts=FILES["full_predict"]["parts"],
        record=FILES["full_predict"]["record"],
    log:
        FILES["full_predict"].log,
    benchmark:
        FILES["full_predict"].benchmark
    params:
        gpus=slices.gpus(CONFIG),
        caches=cache_folders("full_predict"),


# Pseudo labels of a round by the networks of all folds.
use rule pseudo_label as full_label with:
    input:
        **{source: full_teachers(source) for source in PLAN.sources},
        recipe=recipe("full_label"),
        classes=folds_file("classes.json"),
    output:
        table=FILES["full_label"]["table"],
        record=FILES["full_label"]["record"],
    log:
        FILES["full_label"].log,
    benchmark:
        FILES["full_label"].benchmark
    params:
        sources=lambda wildcards: list(
            PLAN.labels_of(job_at("full_label", wildcards)).sources
        ),
