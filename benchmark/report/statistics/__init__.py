"""Statistics of benchmark results: pure functions on arrays, shapes in the docstrings; scipy is imported where used."""
