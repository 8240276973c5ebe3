# Two pipelines over the `seqreg` command: models of your own sequences (rules/models.smk, from a table of samples),
# and benchmarks (rules/benchmark.smk, from suites). config/README.md explains the configuration.
from pathlib import Path

from snakemake.utils import min_version

min_version("9.14")


# In the folder where Snakemake runs; what it leaves out, and all where it is missing, is in the schema.
if Path("config/config.yaml").is_file():

    configfile: "config/config.yaml"


report: "workflows/report/workflow.rst"


include: "workflows/rules/configuration.smk"
include: "workflows/rules/cluster.smk"
include: "workflows/rules/attempts.smk"
include: "workflows/rules/commands.smk"
include: "workflows/rules/models.smk"
include: "workflows/rules/benchmark.smk"


rule all:
    default_target: True
    input:
        rules.models.input,
        rules.benchmarks.input,
        f"{RESULTS}/configuration.yaml",


rule configuration:
    """Write down the configuration that was used, what was left out filled in."""
    output:
        f"{RESULTS}/configuration.yaml",
    log:
        f"{LOGS}/configuration.log",
    localrule: True
    conda:
        "workflows/envs/seqreg.yaml"
    params:
        text=yaml.safe_dump(config, allow_unicode=True, sort_keys=True),
    shell:
        "printf %s {params.text:q} > {output:q} 2> {log:q}"
