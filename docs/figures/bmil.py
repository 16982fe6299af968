"""Draw the figures of docs/en/bmil.md: neighbour lists, clusters, stages, prototypes.

All from synthetic features, by the functions of mmvireid. Prints the numbers in them.

    PYTHONPATH=. python docs/figures/bmil.py [NAME ...] [--out FOLDER]
"""

import numpy as np
import torch
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch
from style import (
    FAINT,
    GRAPH,
    INFRARED,
    INK,
    LIGHT,
    MARKERS,
    MODALITY,
    VISIBLE,
    bare,
    draw_all,
    new_figure,
    to_picture,
    unit,
)

from mmvireid.clustering import (
    BalancedNeighbors,
    PlainNeighbors,
    cluster_report,
    dbscan_labels,
    jaccard_distance,
)

PEOPLE, IMAGES = 40, (24, 16)  # visible and infrared images of each person
KINDS = (('plain', FAINT, 'D'), ('modality-aware', GRAPH, 'o'))


def population(gap, seed=0, dim=128, noise=1.2):
    """Draw features of people under two modalities.

    Args:
        gap: length of the offset of each modality, in lengths of a person's own vector; 0.7
            times as long is the offset of each person in each modality.
        seed: of the random numbers.
        dim: length of a feature.
        noise: length of what differs from image to image.

    Returns:
        Unit features, modality and identity.
    """
    rng = np.random.default_rng(seed)
    identity = np.repeat(np.arange(PEOPLE), sum(IMAGES))
    modality = np.tile(np.repeat([0, 1], IMAGES), PEOPLE)
    features = (rng.normal(size=(PEOPLE, dim))[identity]
                + gap * rng.normal(size=(2, dim))[modality]
                + 0.7 * gap * rng.normal(size=(2, PEOPLE, dim))[modality, identity]
                + noise * rng.normal(size=(len(identity), dim)))
    return unit(features), modality, identity


def lists_of(features, modality, kind):
    """Return the neighbour lists of all images, shape ``(N, 30)``."""
    rule = PlainNeighbors() if kind == 'plain' else BalancedNeighbors()
    return rule(torch.from_numpy(features), modality).full


def draw_neighbours():
    """The neighbour lists of a visible and of an infrared image, plain and modality-aware."""
    features, modality, identity = population(gap=0.8)
    lists = {kind: lists_of(features, modality, kind) for kind, _, _ in KINDS}
    for kind, ranks in lists.items():
        print(f'{kind}: {100 * (modality[ranks] != modality[:, None]).mean():.0f} % across in all')
    figure = new_figure((11, 3.5))
    axes = figure.subplots()
    bare(axes)
    axes.set(xlim=(-7.2, 34.2), ylim=(-4.1, 0.95))
    for block, image in enumerate((0, IMAGES[0])):
        top = -2.3 * block
        axes.scatter(-6.7, top - 0.45, s=330, c=MODALITY[modality[image]],
                     marker=MARKERS[modality[image]])
        for line, (kind, _, _) in enumerate(KINDS):
            y, ranks = top - 0.9 * line, lists[kind][image]
            axes.text(-1, y, kind, ha='right', va='center', color=INK, fontsize=11)
            for column, other in enumerate(ranks):
                own, colour = identity[other] == identity[image], MODALITY[modality[other]]
                axes.scatter(column, y, s=115, marker=MARKERS[modality[other]], linewidths=1.6,
                             edgecolors=colour, facecolors=colour if own else 'white')
            across = int((modality[ranks] != modality[image]).sum())
            print(f'image {image}, {kind}: {across} of 30 across')
            axes.text(30, y, f'{across} across', va='center', color=INK, fontsize=11)
    axes.text(-6.7, 0.7, 'list of', color=FAINT, fontsize=11, ha='center')
    axes.text(0, 0.7, 'nearest', color=FAINT, fontsize=11, ha='center')
    axes.text(29, 0.7, '30th', color=FAINT, fontsize=11, ha='center')
    both = [Line2D([], [], linestyle='', marker=marker, color=colour, markersize=10,
                   markerfacecolor=colour if own else 'white', markeredgewidth=1.6,
                   label=f'{name}, {"the same person" if own else "somebody else"}')
            for own in (True, False)
            for name, marker, colour in (('visible', 'o', VISIBLE), ('infrared', 's', INFRARED))]
    figure.legend(handles=both, loc='outside lower center', ncols=4, frameon=False, fontsize=11)
    return to_picture(figure, 150)


def outcome(gap, seed):
    """Cluster a population with both distances.

    Args:
        gap: see :func:`population`.
        seed: of the random numbers.

    Returns:
        For plain, then modality-aware: percent of list entries from the other modality,
        clusters, mixed clusters, ARI, median distance of a person's images across the
        modalities.
    """
    features, modality, identity = population(gap, seed)
    rows = []
    for kind, _, _ in KINDS:
        lists = lists_of(features, modality, kind)
        distance = jaccard_distance(features, modality=None if kind == 'plain' else modality)
        report = cluster_report(dbscan_labels(distance, eps=0.6), modality, identities=identity)
        dense = np.ones(distance.shape, np.float32)
        row, column = distance.nonzero()
        dense[row, column] = distance[row, column]
        pairs = ((identity[:, None] == identity) & (modality[:, None] != modality))
        rows.append([100 * (modality[lists] != modality[:, None]).mean(), report.clusters,
                     report.mixed, report.ari, np.median(dense[pairs])])
    return rows


def draw_clusters():
    """Lists and clusters of both distances over the width of the modality gap."""
    gaps = np.arange(0, 2.01, 0.2)
    found = np.array([[outcome(gap, seed) for seed in range(3)] for gap in gaps])
    mean, spread = found.mean(1), found.std(1)
    for gap, row in zip(gaps, mean):
        print(f'gap {gap:.1f}:', '; '.join(
            '{} across {:.0f} %, clusters {:.1f}, mixed {:.1f}, ARI {:.2f}, median {:.2f}'.format(
                kind[0], *values) for kind, values in zip(KINDS, row)))
    figure = new_figure((12, 3.9))
    titles = ('other modality in a list, %', 'clusters (40 people)', 'ARI')
    for axes, value, title in zip(figure.subplots(1, 3), (0, 1, 3), titles):
        for kind, (name, colour, marker) in enumerate(KINDS):
            y, error = mean[:, kind, value], spread[:, kind, value]
            axes.fill_between(gaps, y - error, y + error, color=colour, alpha=0.15, linewidth=0)
            axes.plot(gaps, y, color=colour, marker=marker, markersize=6, linewidth=2, label=name)
        axes.set_title(title, color=INK, fontsize=12)
        axes.set_xlabel('modality gap')
        axes.set_ylim(bottom=0)
        axes.grid(color=LIGHT, linewidth=0.6)
        axes.spines[['top', 'right']].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=2, frameon=False,
                  fontsize=11)
    return to_picture(figure, 150)


def box(axes, centre, text, colour, size=(2.0, 0.62), filled=False):
    """Draw a box with text."""
    (x, y), (width, height) = centre, size
    axes.add_patch(FancyBboxPatch(
        (x - width / 2, y - height / 2), width, height, boxstyle='round,pad=0,rounding_size=0.1',
        facecolor=colour if filled else 'white', edgecolor=colour, linewidth=1.8))
    axes.text(x, y, text, ha='center', va='center', fontsize=10.5, linespacing=1.25,
              color='white' if filled else INK)


def down(axes, start, end, colour=FAINT):
    """Draw an arrow between boxes."""
    axes.annotate('', end, start, arrowprops=dict(
        arrowstyle='-|>', color=colour, linewidth=1.5, shrinkA=0, shrinkB=0))


def draw_stages():
    """The branches of an epoch and the updates that each stage makes of them."""
    figure = new_figure((12, 5.6))
    axes = figure.subplots()
    bare(axes)
    axes.set(xlim=(-0.1, 10.1), ylim=(-1.75, 4.4))
    rows = (3.5, 2.4, 1.3, 0.2)
    intra, cross = (1.15, 3.55), (6.45, 8.85)
    for centre, title in ((2.35, 'branch intra'), (7.65, 'branch cross')):
        axes.text(centre, 4.12, title, ha='center', color=INK, fontsize=13)

    images = ('half of the visible\nimages', 'all infrared\nimages')
    for x, text, colour in zip(intra, images, MODALITY):
        box(axes, (x, rows[0]), text, colour, filled=True)
        box(axes, (x, rows[1]), 'plain distance,\nDBSCAN', colour)
        box(axes, (x, rows[2]), 'mean and hard\nprototypes', colour)
        for above, below in zip(rows, rows[1:]):
            down(axes, (x, above - 0.31), (x, below + 0.33))
    box(axes, (2.35, rows[3]), 'each image against the clusters of its own modality', INK,
        size=(4.4, 0.62))

    for x, text, colour in zip(cross, ('the other half of the\nvisible images', images[1]),
                               MODALITY):
        box(axes, (x, rows[0]), text, colour, filled=True)
        down(axes, (x, rows[0] - 0.31), (x, rows[1] + 0.33))
        down(axes, (x, rows[1] - 0.31), (x, rows[2] + 0.33))
        down(axes, (x, rows[2] - 0.31), (x, rows[3] + 0.33))
    box(axes, (7.65, rows[1]), 'modality-aware distance, DBSCAN: global clusters', GRAPH,
        size=(4.4, 0.62))
    for x, name, colour in zip(cross, ('visible', 'infrared'), MODALITY):
        box(axes, (x, rows[2]), f'{name} prototypes,\nmean and hard', colour)
    box(axes, (7.65, rows[3]), 'each image drawn to both prototypes of its cluster', INK,
        size=(4.4, 0.62))

    for x, text in ((2.35, 'update 1'), (7.65, 'update 2')):
        down(axes, (x, rows[3] - 0.31), (x, -0.42))
        axes.text(x, -0.62, text, ha='center', va='center', color=INK, fontsize=12,
                  fontweight='bold')
    for y, right, text in ((-1.05, 4.55, 'stage 1, 50 epochs: update 1 alone'),
                           (-1.5, 9.85, 'stage 2, 50 epochs: both updates in turn')):
        box(axes, ((0.15 + right) / 2, y), text, '#b0b0b0', size=(right - 0.15, 0.34))
    return to_picture(figure, 150)


def star(axes, place, modality, alpha=1.0):
    """Draw a prototype."""
    axes.scatter(*place, marker='*', s=620, c=MODALITY[modality], edgecolors=INK,
                 linewidths=1.3, zorder=5, alpha=alpha)


def draw_prototypes():
    """The loss of an image against the prototypes, and the update of its own one."""
    rng = np.random.default_rng(2)
    figure = new_figure((12, 5.2))
    loss, update = figure.subplots(1, 2)
    clusters = (  # name, visible centre, infrared centre
        ('cluster A', (-1.2, 0.75), (0.35, 0.95)),
        ('cluster B', (-1.35, -0.95), (-0.1, -1.05)),
        ('cluster C, infrared only', None, (1.5, -0.75)),
    )
    for axes, title in ((loss, 'Loss: drawn to both prototypes of its cluster'),
                        (update, 'Update: only its own prototype follows')):
        bare(axes)
        axes.set_title(title, color=INK, fontsize=13)
    loss.set(xlim=(-2.2, 2.4), ylim=(-1.75, 1.75), aspect='equal')
    anchor = np.array([-1.45, 0.2])
    for name, *centres in clusters:
        known = [np.array(centre) for centre in centres if centre is not None]
        for modality, centre in enumerate(centres):
            if centre is None:
                continue
            spots = np.array(centre) + 0.2 * rng.normal(size=(8, 2))
            loss.scatter(*spots.T, s=52, c=MODALITY[modality], marker=MARKERS[modality],
                         alpha=0.55, linewidths=0)
            star(loss, centre, modality)
            own = name == 'cluster A'
            loss.annotate('', centre, anchor, zorder=4, arrowprops=dict(
                arrowstyle='-|>' if own else '-', color=GRAPH if own else FAINT,
                linewidth=2.4 if own else 1.1, linestyle='-' if own else (0, (4, 3)),
                shrinkA=7, shrinkB=10))
        middle = np.mean(known, 0)
        loss.text(middle[0], middle[1] + (0.62 if middle[1] > 0 else -0.62), name,
                  ha='center', va='center', color=INK, fontsize=11)
    loss.scatter(*anchor, s=120, c=VISIBLE, marker='o', edgecolors=INK, linewidths=1.6, zorder=6)
    loss.text(-1.62, 0.2, 'image', ha='right', va='center', color=INK, fontsize=11)

    # Unit circle: prototypes and features are directions.
    update.set(xlim=(-0.2, 1.75), ylim=(-0.05, 1.35), aspect='equal')
    angle = np.radians(np.linspace(0, 100, 200))
    update.plot(np.cos(angle), np.sin(angle), color=LIGHT, linewidth=1.5, zorder=1)

    def on_circle(degrees):
        return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], -1)

    batch = np.array([52.0, 57, 61, 66])
    old, infrared = 80.0, 17.0
    mean = on_circle(batch).mean(0)
    moved = 0.1 * on_circle(old) + 0.9 * mean
    update.scatter(*on_circle(batch).T, s=90, c=VISIBLE, zorder=4, edgecolors='white')
    star(update, on_circle(old), 0, alpha=0.35)
    star(update, moved / np.linalg.norm(moved), 0)
    star(update, on_circle(infrared), 1)
    for degrees, text in ((old, 'old'), (50.5, 'visible images of the cluster\nin the batch'),
                          (infrared, 'infrared prototype:\nstays')):
        place = 1.09 * on_circle(degrees)
        update.text(*place, text, color=INK, fontsize=11, va='center',
                    ha='left' if degrees < 70 else 'center')
    place = 0.86 * moved / np.linalg.norm(moved)
    update.text(*place, 'new = 0.1 old + 0.9 mean,\nscaled to length 1', color=INK, fontsize=11,
                va='top', ha='right')
    update.annotate('', 1.0 * on_circle(66), 1.0 * on_circle(77), zorder=3, arrowprops=dict(
        arrowstyle='-|>', color=INK, linewidth=1.6, connectionstyle='arc3,rad=-0.05'))
    figure.legend(handles=[
        Line2D([], [], linestyle='', marker='*', color='white', markeredgecolor=INK,
               markersize=15, label='prototype'),
        Line2D([], [], linestyle='', marker='o', color=VISIBLE, markersize=8, label='visible'),
        Line2D([], [], linestyle='', marker='s', color=INFRARED, markersize=8, label='infrared'),
        Line2D([], [], color=GRAPH, linewidth=2.4, label='positive'),
        Line2D([], [], color=FAINT, linewidth=1.1, linestyle=(0, (4, 3)), label='negative'),
    ], loc='outside lower center', ncols=5, frameon=False, fontsize=11)
    return to_picture(figure, 150)


FIGURES = {
    'bmil_neighbours': draw_neighbours,
    'bmil_clusters': draw_clusters,
    'bmil_stages': draw_stages,
    'bmil_prototypes': draw_prototypes,
}

if __name__ == '__main__':
    draw_all(FIGURES)
