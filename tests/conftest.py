"""Fixtures and settings of all tests: one thread, caches of their own, the devices of this machine, the shared folder of real data
where it is at hand, property tests without deadline."""

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Tensors of tests are tiny: more threads, above all those of several workers, only wait for each other. Torch reads this when it is
# imported, and processes that tests start inherit it.
os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")

import torch

from tests.command import Command, Printed, call
from tests.tasks.tiny import checkpoint

settings.register_profile("patient", deadline=None, max_examples=50)  # the machine may be busy
settings.load_profile("patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that wait for a cluster come first, so that with several workers the others fill their waits."""
    items.sort(key=lambda item: not any(map(item.get_closest_marker, ("ray", "slurm"))))


@pytest.fixture(scope="session", autouse=True)
def _own_caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The caches of this session, of its processes too, lie in a folder that goes with it; the user's are left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRUNEBENCH_CACHE", str(tmp_path_factory.mktemp("caches")))
        yield


@pytest.fixture(scope="session", params=["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Every kind of device that this machine has, one after the other; `pytest -k cuda` runs the tests on a GPU alone.

    It is of the session because hypothesis refuses fixtures that are made anew for each test.
    """
    return torch.device(request.param)


@pytest.fixture(scope="module", autouse=True)
def _imported_for_good() -> None:
    """Garbage collections, which some runs ask for, need not go through what is alive now, modules above all."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Calls the console script in this process: exit code, what was printed, what was printed as an error."""
    return lambda *words: call(capfd, monkeypatch, *words)


@pytest.fixture
def prunebench(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Printed:
    """Calls the console script in this process: exit code and everything that was printed."""

    def run(*words: object) -> tuple[int, str]:
        code, out, err = call(capfd, monkeypatch, *words)
        return code, out + err

    return run


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Gives the folder of a tiny random model of a family, made once: configuration, tokenizer, base weights."""
    folder = tmp_path_factory.mktemp("models")
    return lambda kind: str(folder / kind if (folder / kind).exists() else checkpoint(folder / kind, kind))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and models beside the checkout (or $PRUNEBENCH_SHARED); skips where there is none."""
    folder = Path(os.environ.get("PRUNEBENCH_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip("no shared real data beside this checkout (set PRUNEBENCH_SHARED)")
    return folder
