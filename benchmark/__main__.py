"""`python -m benchmark` is `prunebench`: for launchers that start modules, as `torchrun -m benchmark run BOARD`.

`python -m` puts the current folder before everything else that can be imported. It may be somebody else's, with a json.py in it,
so it is taken out again, unless this package itself lies there. (A folder that has its own `benchmark` package comes before
this file; only `python -P -m benchmark` or the command `prunebench` keep that out.)
"""

import os
import sys

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH120, PTH100 - pathlib is not loaded yet

if not sys.flags.safe_path and sys.path[0] in ("", os.getcwd()) and sys.path[0] != HERE:  # noqa: PTH109
    del sys.path[0]

from benchmark.cli import main  # noqa: E402 - after the path is safe

main()
