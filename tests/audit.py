"""`tox -e audit`: known vulnerabilities of what is installed here, by pip-audit; says so where the service cannot be asked.

It needs the network, so it is not among the tests that every change must pass.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

OURS = ("prunebench", "pip-audit", "pip")


def installed() -> list[str]:
    """name==version of all other packages, without the builder's suffix (`+cpu`), which no service knows."""
    command = [sys.executable, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [line.partition("+")[0] for line in lines if line.partition("==")[0] not in OURS]


def main() -> int:
    """0: nothing known; 1: something is; 2: the service could not be asked about everything."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "installed.txt"
        listed.write_text("\n".join(installed()) + "\n")
        command = [sys.executable, "-m", "pip_audit", "--strict", "--no-deps", "--disable-pip", "-r", str(listed)]
        done = subprocess.run(command, capture_output=True, text=True)
    print(done.stdout, done.stderr[-2000:], sep="\n")
    found = "known vulnerabilit" in done.stderr and "Found" in done.stderr
    if done.returncode and not found:
        print("not audited: the service could not be asked, or does not know a package; nothing is said about safety")
        return 2
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
