"""The settings of CIFT's graph, which training and retrieval share."""

from collections.abc import Mapping
from typing import NamedTuple

from mmvireid.utils.errors import InputError


class GraphSettings(NamedTuple):
    """How sharply the graph weighs its edges, and how many it keeps.

    A config states them once, as ``model.head.graph``; the scorer of its rankings takes them
    from there by the reference ``graph='${model.head.graph}'``.

    Attributes:
        tau_het: temperature of heterogeneous edges, the rows of the queries.
        tau_hom: temperature of homogeneous edges, the rows of the gallery.
        num_neighbors: entries kept in a row of the affinity, the self edge among them.
    """

    tau_het: float = 0.2
    tau_hom: float = 0.4
    num_neighbors: int = 4


def graph_settings(graph: Mapping[str, float] | None = None) -> dict:
    """Complete the settings of a config.

    Args:
        graph: some or all fields of :class:`GraphSettings`; None for the paper's values.

    Returns:
        All of them, as :func:`mmvireid.models.transfer_affinity` takes them.

    Raises:
        InputError: for a setting of another name.
    """
    unknown = sorted(set(graph or ()) - set(GraphSettings._fields))
    if unknown:
        raise InputError(
            f'there is no setting {unknown} of the graph, only {list(GraphSettings._fields)}')
    return GraphSettings(**(graph or {}))._asdict()
