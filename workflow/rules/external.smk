# Predictions of other tools: trainings wait for them, so that a mistake in a file is known before any of them starts.
rule external:
    input:
        recipe=recipe("external"),
        train=folds_file("train.csv"),
        test=folds_file("test.csv") if PLAN.has_test else [],
        classes=folds_file("classes.json"),
        class_ids=folds_file("class_ids.json"),
    output:
        parts=FILES["external"]["parts"],
        record=FILES["external"]["record"],
    log:
        FILES["external"].log,
    benchmark:
        FILES["external"].benchmark
    wildcard_constraints:
        external="|".join(PLAN.external) or "none",
    priority: 100
    conda:
        "../../envs/goldfold.yaml"
    threads: 1
    resources:
        mem_mb=4000,
    script:
        "../scripts/external.py"
