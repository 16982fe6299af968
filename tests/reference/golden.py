"""Results of released code, or a small case of our own in the same form."""

from collections.abc import Mapping
from functools import partial

import numpy as np
from reference import (
    adca,
    cift,
    cluster_memory,
    dart,
    deen,
    k_reciprocal,
    metric_losses,
    mpanet,
    nulc,
    pgm,
    prototypes,
    ranking,
    rpnr,
)

#: By the name of the file of released results whose form it has.
SMALL_CASES = {
    'adca': adca.small_case,
    'bmil_jaccard': k_reciprocal.small_jaccard_case,
    'bmil_losses': cluster_memory.small_case,
    'bmil_proxies': prototypes.small_case,
    'ca_jaccard': k_reciprocal.small_camera_case,
    'cift': cift.small_case,
    'dart': dart.small_case,
    'deen': deen.small_case,
    'eval_regdb': partial(ranking.small_case, 'regdb'),
    'eval_sysu': partial(ranking.small_case, 'sysu'),
    'mpanet': mpanet.small_case,
    'nulc': nulc.small_case,
    'pgm': pgm.small_case,
    'rerank': k_reciprocal.small_rerank_case,
    'rpnr': rpnr.small_case,
    'triplet': metric_losses.small_case,
}


class GoldenArrays(Mapping):
    """Arrays by name; remembers which ones were read, and by which tests."""

    def __init__(self, arrays):
        self._arrays = dict(arrays)
        self.read, self.readers = set(), set()

    def __getitem__(self, name):
        self.read.add(name)
        return np.asarray(self._arrays[name])

    def __contains__(self, name):
        return name in self._arrays

    def __iter__(self):
        return iter(self._arrays)

    def __len__(self):
        return len(self._arrays)
