"""Ranking lists as a picture: a query, and what was found for it."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mmvireid.evaluation.functional import rank_metrics
from mmvireid.evaluation.functional.exclusion import seen_gallery
from mmvireid.structures import ImageSet, RetrievalResult
from mmvireid.utils.errors import InputError
from mmvireid.utils.files import write_atomically
from mmvireid.utils.pictures import MissingPictureError, load_picture

RIGHT, WRONG, QUERY = '#1a9850', '#d73027', '#2c5fa8'
#: Frame of an image where nobody knows whether it is the person.
UNKNOWN = '#8c8c8c'
_INK, _FAINT, _BLANK = '#202020', '#606060', '#e4e4e4'


def draw_ranking_lists(results: Mapping[str, RetrievalResult],
                       queries: Sequence[int],
                       *,
                       protocol: str,
                       topk: int = 10,
                       size: tuple[int, int] = (144, 72),
                       title: str = '') -> Image.Image:
    """Draw the nearest gallery images of some queries.

    One block a query; in it one row a method, so that methods can be compared. A
    gallery image with the query's identity has a green frame, another a red one, and a
    grey one where either identity is unknown (-1); an image that the protocol hides from
    the query is not shown. An image whose file is missing, or whose path is empty, is an
    empty frame.

    Args:
        results: name of a method -> its result; all on the same queries.
        queries: rows of the queries to draw.
        protocol: ``'sysu'``, ``'regdb'`` or ``'llcm'``, as in
            :func:`mmvireid.evaluation.rank_metrics`.
        topk: how many gallery images a row.
        size: height and width of one image in pixels.
        title: line above the picture.

    Returns:
        The picture, RGB.

    Raises:
        InputError: if the results know no image paths.
        DatasetError: if a file is no image.
    """
    first = next(iter(results.values()))
    if not first.query.img_path or not first.gallery.img_path:
        raise InputError('drawing a ranking list needs the image paths of query and gallery')
    height, width = size
    frame, gap, text = 4, 10, 15
    cell_w, cell_h = width + 2 * frame + gap, height + 2 * frame + text + gap
    label_w = 14 + max(int(_font(13).getlength(name)) for name in results)
    top = 64
    # Wide enough for title and legend, however short the lists.
    identities = np.concatenate([first.query.identity[queries], first.gallery.identity])
    known = bool((identities >= 0).all())
    canvas_w = max(label_w + cell_w * (topk + 1) + 3 * gap, 600 if known else 760)
    canvas_h = top + len(queries) * (cell_h * len(results) + gap)
    canvas = Image.new('RGB', (canvas_w, canvas_h), 'white')
    draw = ImageDraw.Draw(canvas)
    draw.text((gap, 8), title or 'Ranking lists', fill=_INK, font=_font(18))
    _legend(draw, (gap, 36), known)
    y = top
    for query in queries:
        for row, (name, result) in enumerate(results.items()):
            draw.text((gap, y + height // 2), name, fill=_INK, font=_font(13))
            x = gap + label_w
            if row == 0:
                _paste(canvas, draw, (x, y), first.query.img_path[query], size, QUERY,
                       _caption(first.query, query))
            x += cell_w + gap
            for index in ranked_gallery(result, query, topk, protocol):
                colour = _frame(result.query.identity[query], result.gallery.identity[index])
                # Adding zero turns -0.0, a cosine of one after rounding, into 0.0.
                distance = round(float(result.distance[query, index]), 2) + 0.0
                caption = f'{_caption(result.gallery, index)}  {distance:.2f}'
                _paste(canvas, draw, (x, y), result.gallery.img_path[index], size, colour, caption)
                x += cell_w
            y += cell_h
        draw.line((gap, y - 2, canvas.width - gap, y - 2), fill='#d8d8d8')
        y += gap
    return canvas


def choose_queries(result: RetrievalResult, num: int, *, protocol: str) -> np.ndarray:
    """Choose queries for a picture: half found at rank 1, half not.

    Args:
        result: the ranking to judge by.
        num: how many queries.
        protocol: rules of the ranking, as in :func:`draw_ranking_lists`.

    Returns:
        Shape ``(num,)``, query rows, spread evenly over the set; fewer when there are fewer.
        Queries without a match in the gallery are never chosen.

    Examples:
        >>> import numpy as np
        >>> import torch
        >>> from mmvireid.structures import ImageSet, RetrievalResult
        >>> from mmvireid.visualization import choose_queries
        >>> def images(identity, modality):
        ...     ones = np.ones(len(identity), np.int64)
        ...     return ImageSet({}, np.array(identity), ones, modality * ones, ones)
        >>> distance = torch.tensor([[0.1, 0.9], [0.2, 0.8]])  # person 5 first, for both
        >>> result = RetrievalResult(images([5, 6], 1), images([5, 6], 0), distance)
        >>> choose_queries(result, 2, protocol='regdb').tolist()
        [0, 1]
    """
    metrics = rank_metrics(
        result.distance,
        result.query.identity,
        result.gallery.identity,
        result.query.camera,
        result.gallery.camera,
        protocol=protocol)
    right = np.flatnonzero(metrics.first_match_rank == 1)
    wrong = np.flatnonzero(metrics.first_match_rank > 1)
    num_wrong = min(len(wrong), max(num // 2, num - len(right)))
    return np.concatenate(
        [_spread(right, min(len(right), num - num_wrong)), _spread(wrong, num_wrong)])


def save_picture(picture: Image.Image, path: str | Path) -> Path:
    """Save a picture as its name says, whole or not at all, making its folder.

    Args:
        picture: what to save.
        path: where; the ending decides the format.

    Returns:
        The absolute path.

    Raises:
        InputError: if there is no such format.
    """
    path = Path(path).resolve()
    formats = Image.registered_extensions()
    if path.suffix.lower() not in formats:
        raise InputError(f'a picture cannot be written as "{path.name}": let it end in .png '
                         'or .jpg')
    buffer = BytesIO()
    picture.save(buffer, format=formats[path.suffix.lower()])
    write_atomically(buffer.getvalue(), path)
    return path


def ranked_gallery(result: RetrievalResult, query: int, k: int, protocol: str) -> np.ndarray:
    """Rank the gallery for one query, without the images that the protocol hides from it.

    Args:
        result: the distances.
        query: row of the query.
        k: how many gallery rows at most.
        protocol: rules of the ranking, as in :func:`draw_ranking_lists`.

    Returns:
        Gallery rows, nearest first, shape ``(min(k, visible),)`` int64; images at equal
        distance in the order of the gallery, as :func:`rank_metrics` counts them.
    """
    order = result.distance[query].argsort(stable=True).cpu().numpy()
    seen = seen_gallery(
        result.query.identity[query],
        result.query.camera[query],
        result.gallery.identity,
        result.gallery.camera,
        protocol=protocol)
    return order[seen[order]][:k]


def _spread(rows: np.ndarray, num: int) -> np.ndarray:
    """Pick ``num`` entries at equal steps."""
    return rows[np.linspace(0, len(rows) - 1, num).round().astype(int)] if num else rows[:0]


def _caption(images: ImageSet, row: int) -> str:
    """Say who and where, in few letters."""
    identity, camera = int(images.identity[row]), int(images.camera[row])
    words = [f'id {identity}'] * (identity >= 0) + [f'c{camera}'] * (camera > 0)
    return ' '.join(words)


def _frame(query: int, gallery: int) -> str:
    """Choose the colour of a gallery image by the identities."""
    if query < 0 or gallery < 0:
        return UNKNOWN
    return RIGHT if query == gallery else WRONG


def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return Pillow's own scalable font."""
    return ImageFont.load_default(size=size)


def _paste(canvas: Image.Image, draw: ImageDraw.ImageDraw, position: tuple[int, int],
           path: str, size: tuple[int, int], colour: str, caption: str | None) -> None:
    """Put one framed, captioned image on the canvas."""
    x, y = position
    height, width = size
    draw.rectangle((x, y, x + width + 7, y + height + 7), fill=colour)
    try:
        picture = load_picture(path).resize((width, height), Image.BILINEAR)
    except MissingPictureError:
        # Given as an array, or moved since: what was found out about it is still worth showing.
        picture = Image.new('RGB', (width, height), _BLANK)
    canvas.paste(picture, (x + 4, y + 4))
    draw.text((x, y + height + 9), caption, fill=_FAINT, font=_font(11))


def _legend(draw: ImageDraw.ImageDraw, position: tuple[int, int], known: bool) -> None:
    """Explain the colours of the frames."""
    x, y = position
    meanings = [(QUERY, 'query'), (RIGHT, 'right person'), (WRONG, 'wrong person')]
    for colour, meaning in meanings + [(UNKNOWN, 'identity unknown')] * (not known):
        draw.rectangle((x, y, x + 14, y + 14), fill=colour)
        draw.text((x + 20, y), meaning, fill=_INK, font=_font(12))
        x += 34 + int(_font(12).getlength(meaning))
    draw.text((x, y), 'under each image: identity, camera, distance', fill=_FAINT, font=_font(12))
