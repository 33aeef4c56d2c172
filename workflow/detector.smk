"""Rules of the detector by whose boxes images are cropped: a module of the Snakefile, with its own config and results."""

CONFIG, CHECKED, DETECTOR = config["detector"], config["checked"], None


include: "rules/stages.smk"


rule all:
    input:
        RESULTS,
