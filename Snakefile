# Two pipelines over the `seqreg` command: models of your own sequences (rules/models.smk, from a table of samples),
# and benchmarks (rules/benchmark.smk, from suites). config/README.md explains the configuration.
from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


report: "workflows/report/workflow.rst"


include: "workflows/rules/common.smk"
include: "workflows/rules/models.smk"
include: "workflows/rules/benchmark.smk"


rule all:
    default_target: True
    input:
        rules.models.input,
        rules.benchmarks.input,
