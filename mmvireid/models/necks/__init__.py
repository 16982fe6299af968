"""From a feature map to node features: pooling, BNNeck, graph."""

from .bnneck import BNNeck
from .counterfactual import CounterfactualIntervention
from .gem import GeneralizedMeanPooling
from .graph import transfer_affinity
from .graph_inference import transfer_features

__all__ = [
    'BNNeck', 'CounterfactualIntervention', 'GeneralizedMeanPooling', 'transfer_affinity',
    'transfer_features'
]
