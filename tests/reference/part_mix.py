"""The loss of our unofficial PartMix in plain loops, given the mixtures."""

import torch


def unit(parts):
    row = parts.flatten()
    return row / row.norm()


def naive_part_mix(parts, ids, positives, negatives, temperature):
    """Average over anchors with a positive.

    Mixtures are lists of (anchor, partner, parts) of those that are kept.
    """
    rows, losses = [unit(image) for image in parts], []
    for i, row in enumerate(rows):
        against = [unit(mixed) for anchor, partner, mixed in negatives if i in (anchor, partner)]
        against += [other for other, name in zip(rows, ids) if name != ids[i]]
        against = [torch.exp(row @ other / temperature) for other in against]
        terms = []
        for anchor, _, mixed in positives:
            if anchor == i:
                own = torch.exp(row @ unit(mixed) / temperature)
                terms.append(-torch.log(own / (own + sum(against))))
        if terms:
            losses.append(sum(terms) / len(terms))
    return sum(losses) / len(losses) if losses else parts.new_zeros(())
