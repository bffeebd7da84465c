"""No regularization: the mean task loss.

    loss = mean_d CE(z_d, y_d)
"""

from criteria.regularizers.base import Regularizer


class NoneRegularizer(Regularizer):
    """The base class as it is, under the name `none`."""
