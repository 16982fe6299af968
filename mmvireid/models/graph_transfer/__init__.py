"""CIFT's graph: affinity of a batch, transfer in a gallery, counterfactual, and its scorer."""

from .affinity import QUERY_MODALITY, transfer_affinity
from .counterfactual import CounterfactualIntervention
from .gallery_graph import transfer_features
from .scorer import GraphTransfer
from .settings import GraphSettings, graph_settings

__all__ = [
    'QUERY_MODALITY', 'CounterfactualIntervention', 'GraphSettings', 'GraphTransfer',
    'graph_settings', 'transfer_affinity', 'transfer_features'
]
