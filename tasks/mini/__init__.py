"""Small data sets and tiny checkpoints written by this project, in the benchmarks' own formats."""
