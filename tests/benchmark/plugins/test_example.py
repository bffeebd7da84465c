"""The example package passes its own tests beside this version; `tox run -e example` installs it with pip besides."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "example_plugin"


def test_the_example_package_passes_its_own_tests(tmp_path: Path) -> None:
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    site = tmp_path / "site"
    claim = site / f"prunebench_agreement-{project['version']}.dist-info"
    claim.mkdir(parents=True)
    (claim / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"]["prunebench.criteria"]
    (claim / "entry_points.txt").write_text(
        "[prunebench.criteria]\n" + "".join(f"{name} = {place}\n" for name, place in points.items())
    )
    shutil.copy(EXAMPLE / "prunebench_agreement.py", site)
    tests = shutil.copytree(EXAMPLE, tmp_path / "example_plugin")
    (tests / "prunebench_agreement.py").unlink()
    path = os.pathsep.join([str(site), str(EXAMPLE.parents[1])])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", tests / "pyproject.toml", tests],
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout
