"""`python -m benchmark` is `prunebench`: for launchers that start modules, as `torchrun -m benchmark run BOARD`."""

from benchmark.cli import main

main()
