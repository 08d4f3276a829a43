"""ROC of the PRM: what flagging steps by their newest score catches, and what it costs."""

import numpy as np

from kde.samples import Array, Samples


def roc_curve(negatives: Samples, positives: Samples) -> tuple[Array, Array, float]:
    """False-alarm and hit rates of flagging r below each threshold, and the area under them; weighted samples."""
    thresholds = np.unique(np.concatenate([negatives.features[:, 1], positives.features[:, 1]]))
    rates = []
    for samples in (negatives, positives):
        order = np.argsort(samples.features[:, 1])
        below = np.searchsorted(samples.features[order, 1], thresholds, side="right")
        rates.append(np.concatenate([[0.0], np.concatenate([[0.0], samples.weights[order].cumsum()])[below]]))
    return rates[0], rates[1], float(np.trapezoid(rates[1], rates[0]))
