"""The contracts of criteria and regularizers as functions: `from criteria.checks import check_criterion`."""

from criteria.checks.criterion import check_criterion
from criteria.checks.regularizer import check_regularizer

__all__ = ["check_criterion", "check_regularizer"]
