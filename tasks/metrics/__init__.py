"""Metrics, one file a family of tasks: classification, entities, text, and those of the `evaluate` hub."""
