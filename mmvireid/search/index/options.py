"""What can be chosen for each kind of index."""

from typing import Any

from mmvireid.utils.errors import GalleryIndexError

#: kind -> option -> default. None: chosen when the index is trained or built.
INDEX_KINDS: dict[str, dict[str, Any]] = {
    'torch': {'dtype': 'float32'},
    'flat': {},
    'ivf': {'num_lists': None, 'num_probes': None},
    'ivfpq': {'num_lists': None, 'num_probes': None, 'num_codes': None, 'bits': 8},
    'hnsw': {'num_links': 32, 'ef_construction': 200, 'ef_search': 64},
}
#: Options that matter to the search alone, so that they can change at any time.
SEARCH_OPTIONS = ('num_probes', 'ef_search')
METRICS = ('cosine', 'l2')


def complete_options(kind: str, dim: int, options: dict[str, Any]) -> dict[str, Any]:
    """Add the defaults of a kind to what was chosen, and check it.

    Args:
        kind: a key of :data:`INDEX_KINDS`.
        dim: length of the descriptors.
        options: what was chosen.

    Returns:
        dict: a value for every option of the kind.

    Raises:
        GalleryIndexError: if there is no such kind or option, or a value does not fit.
    """
    if kind not in INDEX_KINDS:
        raise GalleryIndexError(
            f'there is no index of kind "{kind}", choose one of {", ".join(INDEX_KINDS)}.')
    known = INDEX_KINDS[kind]
    unknown = [name for name in options if name not in known]
    if unknown:
        raise GalleryIndexError(
            f'an index of kind "{kind}" has no option "{unknown[0]}", it has '
            f'{", ".join(known) or "none"}.')
    chosen = {**known, **options}
    if chosen.get('dtype', 'float32') not in ('float32', 'float16'):
        raise GalleryIndexError(f'dtype must be float32 or float16, not {chosen["dtype"]}.')
    for name, value in chosen.items():
        if name != 'dtype' and value is not None and (type(value) is not int or value < 1):
            raise GalleryIndexError(f'{name} must be a whole number from 1, not {value}.')
    if kind == 'ivfpq':
        if chosen['num_codes'] is None:
            chosen['num_codes'] = max(n for n in range(1, max(1, dim // 8) + 1) if dim % n == 0)
        if dim % chosen['num_codes']:
            raise GalleryIndexError(
                f'descriptors of {dim} dimensions cannot be cut into {chosen["num_codes"]} '
                f'equal pieces, so choose num_codes among the divisors of {dim}.')
        if chosen['bits'] > 12:
            raise GalleryIndexError(f'bits must be at most 12, not {chosen["bits"]}.')
    return chosen
