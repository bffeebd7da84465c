"""What pruning costs: a criterion's share of a training step, a whole cell, memory; measured beside a naive baseline in one run."""
