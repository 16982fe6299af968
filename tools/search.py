#!/usr/bin/env python
"""Find the people of some images in a gallery.

Examples:
    python tools/search.py CONFIG CHECKPOINT gallery.csv queries.csv --top-k 5
    python tools/search.py CONFIG CHECKPOINT day/ night/0001.jpg --gallery-modality visible
        --query-modality infrared --out found.json found.csv --show-dir found/
"""

import argparse
import os
from pathlib import Path

from mmvireid.cli import (
    add_out,
    add_show_dir,
    check_work_dir,
    not_negative,
    one_sentence_errors,
    positive,
    shell_path,
    tool_parser,
)
from mmvireid.cli.inference import (
    add_inference_arguments,
    build_inferencer,
    check_modality,
    check_output,
    picture_name,
    print_results,
    write_results,
)
from mmvireid.inference.image_inputs import list_files
from mmvireid.inference.stored_index import compare_files, is_index
from mmvireid.search import INDEX_KINDS, GalleryIndex
from mmvireid.utils.paths import path_as_text


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = tool_parser(__doc__)
    add_inference_arguments(parser)
    parser.add_argument(
        'gallery', type=shell_path,
        help='an image, a folder, or a list file (see docs/en/datasets.md)')
    parser.add_argument('query', type=shell_path, help='the same')
    parser.add_argument(
        '--gallery-modality', help='visible or infrared, where the gallery is not a list file')
    parser.add_argument(
        '--query-modality', help='visible or infrared, where the query is not a list file')
    parser.add_argument('--top-k', type=positive, default=10, help='images to find for each query')
    parser.add_argument(
        '--ranking', help="one of the config's rankings; by default the first")
    parser.add_argument(
        '--index', type=shell_path, metavar='DIR', help='keep the descriptors of the gallery in '
        'this folder, or take them from it where it exists')
    parser.add_argument(
        '--index-kind', choices=tuple(INDEX_KINDS), default='torch', help='kind of a new index: '
        'torch and flat are exact, the others approximate; all but torch need faiss')
    add_out(parser, '.json or .csv files for all results', nargs='+', default=[])
    add_show_dir(parser, 'draw what was found for each query into this folder')
    parser.add_argument(
        '--max-pictures', type=not_negative, default=100, help='pictures to draw at most')
    return parser.parse_args()


def report_changes(index: GalleryIndex, gallery: str, folder: str) -> dict[str, int | None]:
    """Say what came to a gallery, and what went, since its index was made.

    Args:
        index: the index.
        gallery: what the command line names as the gallery.
        folder: folder of the index, for the message.

    Returns:
        Numbers of images for the file of results; None where there is nothing to compare.
    """
    if not os.path.exists(gallery):
        print(f'"{gallery}" is not there any more: nothing to compare the index with')
        return dict(gallery_new=None, gallery_missing=None)
    changes = compare_files(index, list_files(gallery))
    if changes.new or changes.missing:
        first = (changes.new + changes.missing)[0]
        print(f'"{gallery}" has changed since: {len(changes.new)} new images, which cannot be '
              f'found, and {len(changes.missing)} that are gone, first "{path_as_text(first)}"; '
              f'delete {folder} to index all of it again')
    return dict(gallery_new=len(changes.new), gallery_missing=len(changes.missing))


def main() -> None:
    """Search."""
    args = parse_args()
    with one_sentence_errors():
        for file in args.out:
            check_output(file, ('.json', '.csv'))
        if args.show_dir:
            check_work_dir(args.show_dir)
        check_modality(args.query, args.query_modality, '--query-modality')
        stored = args.index is not None and is_index(args.index)
        if not stored:
            check_modality(args.gallery, args.gallery_modality, '--gallery-modality')
        inferencer = build_inferencer(args)
        ranking = inferencer.ranking(args.ranking)
        loading = dict(batch_size=args.batch_size, num_workers=args.num_workers, progress=True)
        if stored:
            print(f'the gallery is what {args.index} holds; "{args.gallery}" is not read again')
            gallery = inferencer.load_index(args.index, ranking.name)
            changes = report_changes(gallery.index, args.gallery, args.index)
        else:
            changes = dict(gallery_new=0, gallery_missing=0)
            gallery = inferencer.index(
                args.gallery, args.gallery_modality, ranking=ranking.name, path=args.index,
                kind=args.index_kind, **loading)
        results = inferencer.search(
            args.query, args.top_k, args.query_modality, ranking=ranking.name, **loading)
        print(f'ranking "{ranking.label}", {len(gallery)} images in the gallery')
        print_results(results)
        for file in args.out:
            write_results(
                results, file, config=args.config, checkpoint=args.checkpoint,
                ranking=ranking.name, uses=sorted(ranking.uses),
                transductive=ranking.transductive, gallery=args.gallery, gallery_size=len(gallery),
                **changes)
            print(f'saved: {file}')
        if args.show_dir:
            for number, result in enumerate(results[:args.max_pictures]):
                name = picture_name(number, result.query.img_path[0])
                inferencer.visualize([result], Path(args.show_dir) / name)
            print(f'pictures: {Path(args.show_dir).resolve()}')


if __name__ == '__main__':
    main()
