rule submit:
    input:
        recipe=recipe("submit"),
        predictions=f"{PLAN.results}/ensemble/test.npz",
        test=folds_file("test.csv"),
        classes=folds_file("classes.json"),
        class_ids=folds_file("class_ids.json"),
        data=ancient(PLAN.made_data),
    output:
        table=FILES["submit"]["table"],
        files=FILES["submit"]["files"],
        folders=[directory(folder) for folder in FILES["submit"]["folders"]],
        record=FILES["submit"]["record"],
    log:
        FILES["submit"].log,
    benchmark:
        FILES["submit"].benchmark
    conda:
        "../../envs/goldfold.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    script:
        "../scripts/submit.py"
