"""What pyproject.toml cannot say: beside the packages that are found, `data/` is installed as `seqreg/data/`."""

from setuptools import find_namespace_packages, setup

setup(
    packages=[
        *find_namespace_packages(include=["seqreg*"], exclude=["*.__pycache__"]),
        "seqreg.data",
        *(f"seqreg.data.{name}" for name in find_namespace_packages("data")),
    ],
    package_dir={"seqreg.data": "data"},
)
