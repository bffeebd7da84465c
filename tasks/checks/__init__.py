"""The contract of tasks as a function: `from tasks.checks import check_task`."""

from tasks.checks.task import check_task

__all__ = ["check_task"]
