rule pseudo_label:
    input:
        **{source: teachers(source) for source in PLAN.sources},
        recipe=recipe("pseudo_label"),
        classes=folds_file("classes.json"),
        judges=judges("pseudo_label"),
        lists=inner_lists("pseudo_label"),
    output:
        table=FILES["pseudo_label"]["table"],
        record=FILES["pseudo_label"]["record"],
    log:
        FILES["pseudo_label"].log,
    benchmark:
        FILES["pseudo_label"].benchmark
    wildcard_constraints:
        round="|".join(str(number) for number, _ in PLAN.labels) or "none",
    conda:
        "../../envs/goldfold.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        sources=lambda wildcards: list(labels_at(wildcards).sources),
    script:
        "../scripts/pseudo_label.py"
