"""Equal tuning: every row of a board gets the same number of trials, scored on held-out training data."""
