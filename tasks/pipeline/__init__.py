"""What every task shares: checkpoints, tokenized rows, their cache and batches, and the skeleton `PreparedTask`."""
