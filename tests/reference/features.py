"""Descriptors of people seen in two modalities, small enough for naive references."""

import numpy as np
import torch

from mmvireid.structures import ImageSet


def people(seed, num_ids=8, visible=5, infrared=3, dim=16, gap=0.6, noise=0.5, unit=True):
    """Return features (N, dim), modality and identity, visible rows first."""
    rng = np.random.default_rng(seed)
    identity = np.concatenate([np.repeat(np.arange(num_ids), n) for n in (visible, infrared)])
    modality = np.repeat([0, 1], [num_ids * visible, num_ids * infrared])
    features = (rng.standard_normal((num_ids, dim))[identity] +
                gap * rng.standard_normal((2, dim))[modality] +
                noise * rng.standard_normal((len(identity), dim)))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    if not unit:
        features *= rng.uniform(0.9, 1, (len(identity), 1))
    return features.astype(np.float32), modality, identity


def filmed(seed, num_cameras=3, images=4, num_ids=8, shift=0.0, dim=16):
    """Unit features of people seen by several cameras, their cameras and identities."""
    rng = np.random.default_rng(seed)
    camera = np.tile(np.repeat(np.arange(num_cameras), images), num_ids)
    identity = np.repeat(np.arange(num_ids), num_cameras * images)
    features = (rng.standard_normal((num_ids, dim))[identity]
                + shift * rng.standard_normal((num_cameras, dim))[camera]
                + 0.4 * rng.standard_normal((len(camera), dim)))
    order = rng.permutation(len(camera))
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    return features[order].astype(np.float32), camera[order], identity[order]


def image_set(features, modality, identity=None):
    """Features of a training set as a labeller gets them, by default without identities."""
    num = len(modality)
    return ImageSet(
        dict(base=torch.as_tensor(features)),
        identity=np.full(num, -1) if identity is None else identity,
        camera=np.asarray(modality) + 1, modality=np.asarray(modality),
        sample_idx=np.arange(num))


def clustered_apart(seed, num_visible=5, num_infrared=3, outliers=2, dim=6):
    """Images of both modalities mixed, and clusters of each modality by itself.

    Visible clusters have the numbers below those of infrared ones, and at least two images.
    """
    rng = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(num_visible + num_infrared),
                        rng.integers(2, 7, num_visible + num_infrared))
    modality = (numbers >= num_visible).astype(np.int64)
    features = (1.5 * rng.standard_normal((num_visible + num_infrared, dim))[numbers]
                + rng.standard_normal((len(numbers), dim)))
    features = np.concatenate([features, rng.standard_normal((2 * outliers, dim))])
    modality = np.concatenate([modality, np.repeat([0, 1], outliers)])
    numbers = np.concatenate([numbers, np.full(2 * outliers, -1)])
    order = rng.permutation(len(numbers))
    return image_set(features[order].astype(np.float32), modality[order]), numbers[order]
