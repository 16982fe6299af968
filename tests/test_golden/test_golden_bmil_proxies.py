"""Prototypes of modalities from cluster labels (BMIL)."""

import numpy as np
import pytest
import torch

from mmvireid.clustering import cluster_centroids, modality_prototypes

pytestmark = pytest.mark.golden('bmil_proxies')


def test_prototypes(golden):
    features, modality = golden['feat'], golden['mod']
    for eps in [name.removeprefix('labels_') for name in golden if name.startswith('labels_')]:
        labels = golden[f'labels_{eps}']
        result = modality_prototypes(features, labels, modality)
        unit = torch.nn.functional.normalize(result.centroids, dim=1)
        for found, name in ((result.centroids, 'proxy_mean'),
                            (cluster_centroids(features, labels), 'cluster_mean'),
                            (torch.cat([unit, unit]), 'proxy_memory')):
            np.testing.assert_allclose(
                found, golden[f'{name}_{eps}'], rtol=0, atol=5e-6, err_msg=name)
        np.testing.assert_array_equal(result.groups, golden[f'proxy_label_{eps}'])
        np.testing.assert_array_equal(result.assignment, golden[f'img_proxy_{eps}'])
