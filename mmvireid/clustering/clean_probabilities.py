"""Which images a network finds easy, and so probably have the right label."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture


def clean_probabilities(losses: np.ndarray,
                        *,
                        max_iter: int = 100,
                        tol: float = 1e-2,
                        reg_covar: float = 5e-4,
                        seed: int = 0) -> np.ndarray:
    """Tell right labels from wrong ones by how well a network has learnt them.

    A network fits right labels before it memorises wrong ones, so early in training their
    losses are lower. The losses of each view are scaled to 0 .. 1, a mixture of two Gaussians is
    fitted to all of them, and a label is right with the probability of the component that has
    the smaller mean (Li et al., "DivideMix", ICLR 2020; Yang et al., "Learning with Twin Noisy
    Labels for Visible-Infrared Person Re-Identification", CVPR 2022, which fits visible and
    infrared images apart).

    The mixture always splits: also where no label is wrong, some images fall below one half.

    Args:
        losses: shape ``(V, N)``, the cross-entropy of each of N images in each of V views, or
            ``(N,)``.
        max_iter: steps of the fit, at most.
        tol: gain of the log-likelihood below which it ends.
        reg_covar: added to the variances.
        seed: of the k-means from which it starts.

    Returns:
        Probabilities, float64 of the shape of ``losses``: ``(V, N)`` or ``(N,)``. All 1 where
        the losses of each view are equal, and nothing can be told apart.

    Examples:
        >>> import numpy as np
        >>> from mmvireid.clustering import clean_probabilities
        >>> clean_probabilities(np.array([0.1, 0.2, 0.1, 5.0, 0.2, 4.8])).round(2)
        array([1., 1., 1., 0., 1., 0.])
    """
    losses = np.asarray(losses, dtype=np.float64)
    low, high = losses.min(-1, keepdims=True), losses.max(-1, keepdims=True)
    scaled = (losses - low) / np.where(high > low, high - low, 1)
    if not scaled.any():
        return np.ones_like(losses)
    mixture = GaussianMixture(
        2, max_iter=max_iter, tol=tol, reg_covar=reg_covar, random_state=seed)
    column = scaled.reshape(-1, 1)
    with warnings.catch_warnings():
        # As many steps as were asked for.
        warnings.simplefilter('ignore', ConvergenceWarning)
        mixture.fit(column)
    return mixture.predict_proba(column)[:, mixture.means_.argmin()].reshape(losses.shape)
