"""The ``{model-zoo}`` directive: the tables of all models, from the metafiles."""

from pathlib import Path

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from repository_pages import page_of, relative
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    'all_single': 'all-search, single-shot',
    'all_multi': 'all-search, multi-shot',
    'indoor_single': 'indoor-search, single-shot',
    'indoor_multi': 'indoor-search, multi-shot',
    'v2t': 'visible to thermal',
    't2v': 'thermal to visible',
    'v2i': 'visible to infrared',
    'i2v': 'infrared to visible',
}
METRICS = ('Rank-1', 'mAP')


def read_metafiles() -> list[dict]:
    """Read the metafiles that ``model-index.yml`` names.

    Returns:
        Their contents, in its order.
    """
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text(encoding='utf-8'))
    # Numbers stay as they are written: 67.1 has been published with one decimal, 47.50 with two.
    return [yaml.load((ROOT / name).read_text(encoding='utf-8'), yaml.BaseLoader)
            for name in index['Import']]


def numbers(metrics: dict) -> str:
    """Write Rank-1 and mAP, or nothing where there are none.

    Args:
        metrics: name -> percent, as text.

    Returns:
        For example ``71.77 / 67.64``, in one piece.
    """
    return ' / '.join(metrics[name] for name in METRICS).replace(' ', '\u00a0') if metrics else ''


def table_of(metafile: dict, page: Path) -> list[str]:
    """Write the section of one collection.

    Args:
        metafile: contents of a metafile.
        page: where it is shown.

    Returns:
        Lines of Markdown.
    """
    collection, = metafile['Collections']
    readme = relative(page_of(ROOT / collection['README']), page.parent)
    paper = collection['Paper']
    lines = [f'## {collection["Name"]}', '', f'[{paper["Title"]}]({paper["URL"]}) · '
             f'[about it]({readme}) · {", ".join(collection["Metadata"]["Architecture"])}', '',
             '| config | dataset, setting | ranking | published | ours | weights |',
             '|---|---|---|---|---|---|']
    for model in metafile['Models']:
        if 'Results' not in model:  # a stand-in for trying things
            continue
        config = relative(page_of(ROOT / model['Config']), page.parent)
        name = f'[{model["Name"]}]({config})'
        for result in model['Results']:
            metrics = result['Metrics']
            weights = f'[download]({model["Weights"]})' if model.get('Weights') else ''
            lines.append(
                f'| {name} | {result["Dataset"]}, {SETTINGS[result["Setting"]]} | '
                f'`{result["Ranking"]}` | {numbers(metrics["Published"])} | '
                f'{numbers(metrics["Ours"])} | {weights} |')
            name = ''
    return [*lines, '']


class ModelZoo(SphinxDirective):
    """Show all models."""

    def run(self) -> list[nodes.Node]:
        """Write the tables.

        Returns:
            The sections.
        """
        page = Path(self.env.doc2path(self.env.docname))
        lines = [line for metafile in read_metafiles() for line in table_of(metafile, page)]
        for name in yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']:
            self.env.note_dependency(str(ROOT / name))
        node = nodes.section()
        self.state.nested_parse(StringList(lines, 'metafiles'), 0, node, match_titles=True)
        return node.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Hook into Sphinx.

    Args:
        app: the application.

    Returns:
        What Sphinx has to know.
    """
    app.add_directive('model-zoo', ModelZoo)
    return dict(parallel_read_safe=True, parallel_write_safe=True)
