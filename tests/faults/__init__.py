"""Faults injected into every write, hostile input, and several runners at once."""
