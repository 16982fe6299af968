"""Draw the figures of docs/en/cift.md: the graph of a search, its affinities, what it brings.

All from synthetic features, by the functions of mmvireid. Prints the numbers in them.

    PYTHONPATH=. python docs/figures/cift.py [NAME ...] [--out FOLDER]
"""

import numpy as np
import torch
from matplotlib.colors import PowerNorm
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
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

from mmvireid.evaluation import rank_metrics
from mmvireid.models import CounterfactualIntervention, transfer_affinity, transfer_features


def people_in_a_batch(people=4, images=4, dim=64, gap=1.0, noise=1.0, seed=0):
    """Draw a batch: visible images of all people, then infrared ones."""
    rng = np.random.default_rng(seed)
    identity = np.tile(np.repeat(np.arange(people), images), 2)
    modality = np.repeat([0, 1], people * images)
    features = (rng.normal(size=(people, dim))[identity]
                + gap * rng.normal(size=(2, dim))[modality]
                + noise * rng.normal(size=(len(identity), dim)))
    return torch.tensor(features, dtype=torch.float32), identity, torch.tensor(modality)


def node(axes, place, modality, text='', alpha=1.0, size=560):
    """Draw one image."""
    axes.scatter(*place, s=size, c=MODALITY[modality], marker=MARKERS[modality], alpha=alpha,
                 edgecolors='white', linewidths=1.5, zorder=3)
    axes.text(*place, text, ha='center', va='center', color='white', fontsize=11, zorder=4,
              fontweight='bold')


def arrow(axes, start, end, colour, width=1.2, style='-', bend=0.0, alpha=1.0, shrink=13):
    """Draw who sends to whom."""
    axes.annotate('', end, start, zorder=2, arrowprops=dict(
        arrowstyle='-|>', color=colour, linewidth=width, linestyle=style, alpha=alpha,
        connectionstyle=f'arc3,rad={bend}', shrinkA=shrink, shrinkB=shrink))


def middle(start, end, bend):
    """Find the middle of a bent arrow."""
    start, end = np.array(start), np.array(end)
    along = end - start
    return (start + end) / 2 + 0.5 * bend * np.array([along[1], -along[0]])


def loop(axes, place, colour, width, away=(0.0, 1.0)):
    """Draw an edge of a node to itself, on the side that ``away`` points to."""
    away = np.array(away) / np.hypot(*away)
    side = np.array([-away[1], away[0]])
    start, end = (np.array(place) + 0.08 * away + sign * 0.07 * side for sign in (1, -1))
    axes.annotate('', end, start, zorder=2, arrowprops=dict(
        arrowstyle='-|>', color=colour, linewidth=width, shrinkA=4, shrinkB=5,
        connectionstyle='arc3,rad=-1.9'))


def ring(num, centre, radius, start=90.0):
    """Place nodes on a circle, clockwise from ``start`` degrees."""
    angle = np.radians(start - 360 * np.arange(num) / num)
    return np.stack([centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)], 1)


def draw_problem():
    """A batch of training beside a search: balanced against unbalanced."""
    figure = new_figure((10, 4.5))
    left, right = figure.subplots(1, 2)
    for axes, title in ((left, 'An ordinary graph in training'), (right, 'A search')):
        bare(axes)
        axes.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.32), aspect='equal')
        axes.set_title(title, color=INK, fontsize=13)
    places = ring(8, (0, 0), 1.0, start=112.5)
    for i, end in enumerate(places):
        for start in np.delete(places, i, 0):
            arrow(left, start, end, FAINT, width=0.6, alpha=0.45, shrink=12)
        node(left, end, i % 2, str(i // 2 + 1))
    left.text(0, -1.32, '4 visible and 4 infrared images: every node hears\n'
              'both modalities equally', ha='center', va='center', color=INK, fontsize=11)

    gallery, query = ring(9, (0, 0), 1.05), np.zeros(2)
    for i, end in enumerate(gallery):
        for start in np.delete(gallery, i, 0):
            arrow(right, start, end, FAINT, width=0.6, alpha=0.45, shrink=12)
    for i, place in enumerate(gallery):
        arrow(right, place, query, GRAPH, width=2)
        node(right, place, 0, str((i + 1) // 2 + 1))
    node(right, query, 1, '?', size=700)
    right.text(0, -1.32, '1 infrared query before a visible gallery: the query hears\n'
               'the other modality, the gallery its own', ha='center',
               va='center', color=INK, fontsize=11)
    figure.legend(handles=[
        Line2D([], [], linestyle='', marker=MARKERS[0], color=VISIBLE, markersize=10,
               label='visible image'),
        Line2D([], [], linestyle='', marker=MARKERS[1], color=INFRARED, markersize=10,
               label='infrared image'),
    ], loc='outside lower center', ncols=2, frameon=False, fontsize=11)
    return to_picture(figure, 150)


def draw_graph():
    """The graph of one query: which edges may be, and which are kept, with weights."""
    features, identity, modality = people_in_a_batch(people=4, images=2, gap=0.5, noise=0.8)
    is_query = modality == 1
    affinity = transfer_affinity(features, is_query).numpy()
    gallery, query, other = np.arange(8), 10, 14

    figure = new_figure((11, 5.4))
    panels = figure.subplots(1, 2)
    places = ring(8, (0.55, 0.0), 0.85, start=292.5)
    spot, other_spot = np.array([-1.25, 0.15]), np.array([-1.25, -0.85])
    for axes, title in zip(panels, ('Who may send to whom', 'What one layer keeps')):
        bare(axes)
        axes.set(xlim=(-1.8, 1.7), ylim=(-1.35, 1.15), aspect='equal')
        axes.set_title(title, color=INK, fontsize=13)
        for i, place in zip(gallery, places):
            node(axes, place, 0, str(identity[i] + 1))
        node(axes, spot, 1, str(identity[query] + 1))
        axes.text(-1.25, 0.37, 'query', ha='center', color=INK, fontsize=11)
        node(axes, other_spot, 1, str(identity[other] + 1), alpha=0.45)
        axes.text(-1.25, -1.15, 'another query', ha='center', color=FAINT, fontsize=11)
        axes.text(0.55, -1.3, 'gallery', ha='center', color=INK, fontsize=11)

    allowed, kept = panels
    for i, end in enumerate(places):
        arrow(allowed, end, spot, GRAPH, width=1.1, bend=0.06)
        loop(allowed, end, FAINT, 0.8, away=end - (0.55, 0.0))
        for j, start in enumerate(places):
            if i != j:
                arrow(allowed, start, end, FAINT, width=0.5, alpha=0.4)
    loop(allowed, spot, GRAPH, 1.1, away=(-1, 0))
    for end, bend in ((places[1], 0.3), (other_spot, 0.0)):
        arrow(allowed, spot, end, INK, width=1.4, style=(0, (3, 2)), bend=bend)
        allowed.scatter(*middle(spot, end, bend), marker='x', s=90, c=INK, linewidths=2.4,
                        zorder=5)

    for i, end in zip(gallery, places):
        for j in np.flatnonzero(affinity[i]):
            if i != j:
                arrow(kept, places[j], end, FAINT, width=5 * affinity[i, j], bend=0.12)
        loop(kept, end, FAINT, 5 * affinity[i, i], away=end - (0.55, 0.0))
    for j in np.flatnonzero(affinity[query][:8]):
        arrow(kept, places[j], spot, GRAPH, width=1 + 20 * affinity[query, j])
        kept.text(*(0.5 * places[j] + 0.5 * spot), f'{affinity[query, j]:.2f}', color=INK,
                  fontsize=11, ha='center', va='center', zorder=6,
                  bbox=dict(facecolor='white', edgecolor='none', pad=1.2, alpha=0.9))
    loop(kept, spot, GRAPH, 3, away=(-1, 0))
    kept.text(-1.66, 0.15, f'{affinity[query, query]:.2f}', color=INK, fontsize=11,
              ha='center', va='center')
    figure.legend(handles=[
        Line2D([], [], color=GRAPH, linewidth=2, label='heterogeneous edge, to the query'),
        Line2D([], [], color=FAINT, linewidth=2, label='homogeneous edge, within the gallery'),
        Line2D([], [], color=INK, linewidth=1.5, linestyle=(0, (3, 2)), marker='x',
               label='forbidden'),
    ], loc='outside lower center', ncols=3, frameon=False, fontsize=11)
    return to_picture(figure, 150)


def draw_affinity():
    """The factual and the counterfactual affinity of a batch, in both directions."""
    features, _, modality = people_in_a_batch()
    torch.manual_seed(0)
    intervention = CounterfactualIntervention(features.shape[1], noise='shared')
    n, half = len(features), len(features) // 2
    figure = new_figure((10, 10.4))
    axes = figure.subplots(2, 2)
    titles = ('affinity of the features', 'counterfactual affinity, mean of 10 draws')
    for row, (name, queries) in enumerate((('r2i', 0), ('i2r', 1))):
        is_query = modality == queries
        # The branch returns transferred features only; this is how it gets its affinity.
        draws = torch.randn(10, n, features.shape[1])
        noise = draws * intervention.c.relu() + intervention.k
        counterfactual = transfer_affinity(noise, is_query, self_edges=False).mean(0)
        pair = (transfer_affinity(features, is_query), counterfactual.detach())
        for column, matrix in enumerate(pair):
            panel = axes[row, column]
            shown = np.ma.masked_equal(matrix.numpy(), 0)
            image = panel.imshow(shown, cmap='viridis_r', norm=PowerNorm(0.5, 0, 1),
                                 zorder=1)
            # Nobody hears a query, but for itself.
            start = queries * half - 0.5
            panel.add_patch(Rectangle((start, -0.5), half, n, facecolor='#ececec', zorder=0,
                                      edgecolor='#c4c4c4', hatch='////', linewidth=0))
            for value in (0, 1):
                first = value * half - 0.5
                panel.add_patch(Rectangle((first, -2.1), half, 1.2, color=MODALITY[value],
                                          clip_on=False))
                panel.add_patch(Rectangle((-2.1, first), 1.2, half, color=MODALITY[value],
                                          clip_on=False))
            panel.axhline(half - 0.5, color=INK, linewidth=0.8)
            panel.axvline(half - 0.5, color=INK, linewidth=0.8)
            ends = ('query', 'gallery') if queries == 0 else ('gallery', 'query')
            panel.set_xticks([half / 2 - 0.5, 1.5 * half - 0.5], ends)
            panel.set_yticks([half / 2 - 0.5, 1.5 * half - 0.5], ends, rotation=90, va='center')
            panel.tick_params(length=0, pad=4, labelsize=11)
            panel.tick_params(axis='y', pad=14)
            panel.set_xlabel('sends', color=FAINT, fontsize=11)
            panel.set_ylabel('receives', color=FAINT, fontsize=11)
            panel.set_title(f'{name}: {titles[column]}', color=INK, fontsize=12, pad=20)
    bar = figure.colorbar(image, ax=axes, orientation='horizontal', shrink=0.5, aspect=40)
    bar.set_label('weight', color=INK, fontsize=11)
    figure.legend(handles=[
        Rectangle((0, 0), 1, 1, color=VISIBLE, label='visible'),
        Rectangle((0, 0), 1, 1, color=INFRARED, label='infrared'),
        Rectangle((0, 0), 1, 1, facecolor='#ececec', edgecolor='#c4c4c4', hatch='////',
                  label='forbidden'),
        Rectangle((0, 0), 1, 1, facecolor='white', edgecolor=LIGHT, label='allowed, not kept'),
    ], loc='outside lower center', ncols=4, frameon=False, fontsize=11)
    return to_picture(figure, 150)


def search_scores(shots, people=60, dim=64, seed=0):
    """Rank a synthetic gallery by single descriptors and after the transfer.

    Args:
        shots: visible images of each person in the gallery.
        people: persons.
        dim: length of a feature.
        seed: of the random numbers.

    Returns:
        Rank-1 and mAP of the descriptors, then of the transferred features, in percent.
    """
    rng = np.random.default_rng(seed)
    person, gap = rng.normal(size=(people, dim)), 0.5 * rng.normal(size=(2, dim))
    own = 0.5 * rng.normal(size=(2, people, dim))  # what a person looks like in a modality

    def photograph(modality, images):
        ids = np.repeat(np.arange(people), images)
        noise = 1.4 * rng.normal(size=(len(ids), dim))
        rows = unit(person[ids] + gap[modality] + own[modality, ids] + noise)
        return torch.from_numpy(rows), ids

    query, query_ids = photograph(1, 4)
    gallery, gallery_ids = photograph(0, shots)
    scores = []
    for q, g in ((query, gallery), transfer_features(query, gallery)):
        cosine = torch.nn.functional.cosine_similarity(q[:, None], g[None], dim=-1)
        found = rank_metrics((1 - cosine).numpy(), query_ids, gallery_ids, protocol='regdb')
        scores += [100 * found.cmc[0], 100 * found.mAP]
    return scores


def draw_gallery():
    """What the transfer brings, by the images of a person in the gallery."""
    shots, seeds = (1, 2, 3, 4, 6, 8, 12, 16), range(5)
    scores = np.array([[search_scores(s, seed=seed) for seed in seeds] for s in shots])
    mean, spread = scores.mean(1), scores.std(1)
    for s, row in zip(shots, mean):
        print(f'{s:2d} images: descriptor {row[0]:.1f} / {row[1]:.1f}, '
              f'with the graph {row[2]:.1f} / {row[3]:.1f}')
    figure = new_figure((10, 3.8))
    for axes, column, name in zip(figure.subplots(1, 2), (0, 1), ('Rank-1, %', 'mAP, %')):
        for shift, colour, marker, label in ((0, FAINT, 'D', 'descriptor alone'),
                                             (2, GRAPH, 'o', 'with the graph')):
            value, error = mean[:, column + shift], spread[:, column + shift]
            axes.fill_between(shots, value - error, value + error, color=colour, alpha=0.15,
                              linewidth=0)
            axes.plot(shots, value, color=colour, marker=marker, markersize=6, label=label,
                      linewidth=2)
        axes.set_title(name, color=INK, fontsize=12)
        axes.set_xscale('log', base=2)
        axes.set_xticks(shots, [str(s) for s in shots])
        axes.minorticks_off()
        axes.set(xlabel='gallery images of each person')
        axes.grid(color=LIGHT, linewidth=0.6)
        axes.spines[['top', 'right']].set_visible(False)
        axes.legend(frameon=False)
    return to_picture(figure, 150)


FIGURES = {
    'cift_problem': draw_problem,
    'cift_graph': draw_graph,
    'cift_affinity': draw_affinity,
    'cift_gallery': draw_gallery,
}

if __name__ == '__main__':
    draw_all(FIGURES)
