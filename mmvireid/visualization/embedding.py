"""Features in the plane: which identities lie together, and which modalities apart."""


import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from PIL import Image
from sklearn.manifold import TSNE

from mmvireid.search.topk import float_rows
from mmvireid.utils.errors import InputError

from .figure import FAINT, INK, new_figure, to_picture

Array = np.ndarray | torch.Tensor

#: Told apart with any kind of colour vision as far as twelve can be; numbers do the rest.
COLOURS = ('#0072b2', '#e69f00', '#009e73', '#cc79a7', '#d55e00', '#56b4e9', '#7f3c8d', '#6b8e00',
           '#a6192e', '#404040', '#8c6d31', '#00b3b3')
_FEWEST = 5


def draw_embedding(features: Array,
                   modality: np.ndarray,
                   groups: np.ndarray,
                   *,
                   group_name: str = 'true identity',
                   num_groups: int = 12,
                   max_images: int = 30,
                   seed: int = 0,
                   title: str = '') -> Image.Image:
    """Draw a t-SNE embedding of some identities or clusters.

    The colour is the identity, the marker the modality (circle visible, cross infrared).
    A number stands at the most central image of an identity in each modality, and a dashed
    line joins the two: where there are long lines, the modality moves features further than
    the person does.

    Args:
        features: shape ``(N, D)`` float, any length; compared by direction.
        modality: shape ``(N,)`` int, 0 visible, 1 infrared.
        groups: shape ``(N,)`` int, identity or cluster of each image, negative for none.
        group_name: what ``groups`` are, for the line below the title.
        num_groups: how many of them to draw.
        max_images: images to draw at most of one group and modality.
        seed: decides the choice and the embedding.
        title: line above the picture.

    Returns:
        The picture, RGB.

    Raises:
        InputError: if fewer than 5 images belong to a group, or shapes do not agree.
    """
    features = float_rows('features', features)
    modality, groups = np.asarray(modality), np.asarray(groups)
    if not len(features) == len(modality) == len(groups):
        raise InputError(f'features, modality and groups are of different lengths: '
                         f'{len(features)}, {len(modality)} and {len(groups)}')
    rows = choose_images(groups, modality, num_groups, max_images, seed)
    if len(rows) < _FEWEST:
        raise InputError(f'an embedding needs at least {_FEWEST} images that belong to an '
                         f'identity or a cluster, got {len(rows)}')
    points = embed(features[torch.from_numpy(rows).to(features.device)].cpu().numpy(), seed)
    figure = new_figure((9, 8))
    axes = figure.add_subplot()
    _scatter(axes, points, modality[rows], groups[rows])
    shown, there = len(np.unique(groups[rows])), len(np.unique(groups[groups >= 0]))
    figure.suptitle(title or 'Features of the training images', fontsize=15, color=INK)
    choice = f', {shown} of {there} chosen at random' if shown < there else f' ({shown})'
    axes.set_title(f't-SNE of {len(rows)} images; colour and number: {group_name}{choice}',
                   fontsize=10, color=FAINT)
    return to_picture(figure)


def choose_images(groups: np.ndarray, modality: np.ndarray, num_groups: int, max_images: int,
                  seed: int) -> np.ndarray:
    """Choose images of some random groups.

    Groups with both modalities come first: they are what a gap can be seen in. The choice
    depends on the labels and the seed alone, so pictures of two epochs show the same images
    as long as the labels are the true ones.

    Args:
        groups: shape ``(N,)`` int, negative for none.
        modality: shape ``(N,)`` int.
        num_groups: how many groups.
        max_images: images at most of one group and modality.
        seed: decides the choice.

    Returns:
        np.ndarray: shape ``(M,)``, row numbers, ascending.
    """
    rng = np.random.default_rng(seed)
    visible, infrared = (np.unique(groups[(groups >= 0) & (modality == value)])
                         for value in (0, 1))
    both = np.intersect1d(visible, infrared)
    one = np.setxor1d(visible, infrared)
    order = np.concatenate([rng.permutation(both), rng.permutation(one)])
    rows = []
    for group in order[:num_groups]:
        for value in (0, 1):
            found = np.flatnonzero((groups == group) & (modality == value))
            rows.append(rng.permutation(found)[:max_images])
    return np.sort(np.concatenate(rows)) if rows else np.empty(0, dtype=np.int64)


def embed(features: np.ndarray, seed: int) -> np.ndarray:
    """Embed features in the plane by t-SNE on their directions.

    Args:
        features: shape ``(N, D)`` float, N at least 5.
        seed: decides what t-SNE draws.

    Returns:
        np.ndarray: shape ``(N, 2)`` float32.
    """
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    perplexity = min(30, (len(features) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init='pca', random_state=seed)
    # Between unit vectors the Euclidean order is that of the cosine.
    return tsne.fit_transform(features / np.maximum(lengths, 1e-12))


def _scatter(axes: Axes, points: np.ndarray, modality: np.ndarray, groups: np.ndarray) -> None:
    """Draw points, the number of each group, and a line between its two modalities."""
    outline = [withStroke(linewidth=3, foreground='white')]
    handles = [
        Line2D([], [], color=INK, linestyle='', marker='o', label='visible'),
        Line2D([], [], color=INK, linestyle='', marker='x', label='infrared'),
    ]
    line = Line2D([], [], color=INK, linestyle='--', label='joins the two modalities of a number')
    for k, group in enumerate(np.unique(groups)):
        colour = COLOURS[k % len(COLOURS)]
        middles = []
        for value, style in enumerate(_styles(colour)):
            own = points[(groups == group) & (modality == value)]
            if len(own):
                axes.scatter(own[:, 0], own[:, 1], **style)
                middles.append(_most_central(own))
        if len(middles) == 2:
            axes.plot(*np.transpose(middles), '--', color=colour, linewidth=1.2, zorder=3,
                      path_effects=outline)
            handles[2:] = [line]
        for middle in middles:
            axes.annotate(str(group), middle, (0, 8), textcoords='offset points', ha='center',
                          fontsize=11, fontweight='bold', color=colour, zorder=4,
                          path_effects=outline)
    axes.legend(handles=handles, loc='upper center', bbox_to_anchor=(0.5, 0), ncols=3,
                frameon=False, fontsize=11)
    axes.set(xticks=[], yticks=[])
    axes.set_aspect('equal', adjustable='datalim')  # a length means the same in any direction
    axes.spines[:].set_color('#d0d0d0')


def _most_central(points: np.ndarray) -> np.ndarray:
    """Return the point with the smallest sum of distances to the others."""
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    return points[distances.sum(1).argmin()]


def _styles(colour: str) -> tuple[dict, dict]:
    """Return how visible and infrared images of a colour are marked."""
    return (dict(marker='o', s=30, color=colour, alpha=0.55, linewidths=0),
            dict(marker='x', s=28, color=colour, alpha=0.75, linewidths=1.3))
