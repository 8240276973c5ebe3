"""What pyproject.toml cannot say: beside the packages that are found, `data/` is installed as `seqreg/data/`."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["seqreg*"]), "seqreg.data"], package_dir={"seqreg.data": "data"})
