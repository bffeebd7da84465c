"""What a Python user imports: names load lazily, `run` can be called however it was imported."""

import subprocess
import sys

import pytest

import benchmark
from tests.benchmark.boards import TINY


def test_importing_the_package_loads_nothing() -> None:
    code = "import sys, benchmark; print(sorted({'torch', 'numpy', 'pydantic', 'typer'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    for name in benchmark.__all__:
        assert getattr(benchmark, name) is not None
    assert set(benchmark._HOMES) == set(benchmark.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        benchmark.nothing  # noqa: B018


def test_a_cell_from_python() -> None:
    from benchmark import Options, RunSpec, Training, run

    spec = RunSpec(task="glue/sst2", criterion="magnitude", sparsity=0.5, training=Training(**TINY["training"]))
    result = run(spec, Options(device="cpu"))
    assert result.record.id == spec.id
    assert result.record.sparsity.met
