"""Files of the repository as pages of the documentation.

The pages are written to be read in the repository too, so they link to files outside of
``docs/en``: READMEs of methods, configs, source files. Before a build, a page is made of each file
that is linked, and the links are led there.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / 'docs' / 'en'
#: Where the pages are made, in the source folder, as Sphinx wants it; git ignores it.
MADE = SOURCE / 'repository'
LINK = re.compile(r'(!?\[[^\]]*\]\()([^)\s#:]+)(#[^)\s]*)?\)')
FENCE = re.compile(r'(^```.*?^```$)', re.DOTALL | re.MULTILINE)
#: What tells Sphinx that no table of contents names a page.
ORPHAN = '---\norphan: true\n---\n\n'
LANGUAGES = {'.py': 'python', '.yml': 'yaml', '.sh': 'bash', '.md': 'markdown'}


def page_of(target: Path) -> Path:
    """Say which page shows a file of the repository.

    Args:
        target: absolute path of a file.

    Returns:
        The page in ``docs/en``.
    """
    if target.is_relative_to(SOURCE):
        return target
    name = target.relative_to(ROOT)
    if name.name == 'README.md' and name.parent.name:  # of a method
        return MADE / f'{name.parent.name}.md'
    return MADE / (name.name if name.suffix == '.md' else f'{"-".join(name.parts)}.md')


def lead_links(text: str, origin: Path, page: Path) -> tuple[str, set[Path]]:
    """Lead the links of a Markdown text to pages.

    Args:
        text: the text.
        origin: the file that it comes from, which its links count from.
        page: where it is shown.

    Returns:
        The text with other links, and the files outside ``docs/en`` that they meant.
    """
    outside = set()

    def lead(match: re.Match) -> str:
        target = (origin.parent / match[2]).resolve()
        if not target.exists():
            raise ExtensionError(f'{origin.relative_to(ROOT)}: there is no {match[2]} to link to')
        if target.is_relative_to(ROOT / 'docs') and target.suffix != '.md':
            shown = target
        else:
            shown = page_of(target)
            if not target.is_relative_to(SOURCE):
                outside.add(target)
        return f'{match[1]}{relative(shown, page.parent)}{match[3] or ""})'

    parts = FENCE.split(text)
    parts[::2] = [LINK.sub(lead, part) for part in parts[::2]]
    return ''.join(parts), outside


def relative(target: Path, folder: Path) -> str:
    """Give a path relative to a folder, also upwards.

    Args:
        target: absolute path.
        folder: absolute path.

    Returns:
        The path, with slashes.
    """
    up = 0
    while not target.is_relative_to(folder):
        folder, up = folder.parent, up + 1
    return '../' * up + target.relative_to(folder).as_posix()


def make_page(target: Path) -> set[Path]:
    """Write the page of a file.

    Args:
        target: absolute path of a Markdown file, which becomes a page, or of a source file,
            which is shown as it is.

    Returns:
        Further files that the page links to.
    """
    page, outside = page_of(target), set()
    text = target.read_text(encoding='utf-8')
    if target.suffix == '.md':
        text, outside = lead_links(text, target, page)
        if target == ROOT / 'README.md':  # the site has a first page of its own
            text = ORPHAN + text
    else:
        name = target.relative_to(ROOT).as_posix()
        language = LANGUAGES.get(target.suffix, 'text')
        text = f'{ORPHAN}# {name}\n\n````{language}\n{text}\n````\n'
    if not page.is_file() or page.read_text(encoding='utf-8') != text:
        page.write_text(text, encoding='utf-8')
    return outside


def make_pages(app: Sphinx) -> None:
    """Make a page of every file that is linked, starting from the pages in ``docs/en``.

    Args:
        app: the application.
    """
    MADE.mkdir(exist_ok=True)
    waiting = set(ROOT.glob('configs/*/README.md')) | set(ROOT.glob('configs/*/*.py'))
    for page in SOURCE.rglob('*.md'):
        if not page.is_relative_to(MADE):
            waiting |= lead_links(page.read_text(encoding='utf-8'), page, page)[1]
    done = set()
    while waiting:
        target = waiting.pop()
        done.add(target)
        waiting |= make_page(target) - done
    for page in set(MADE.glob('*.md')) - {page_of(target) for target in done}:
        page.unlink()


def lead_links_of_page(app: Sphinx, name: str, source: list[str]) -> None:
    """Lead the links of a page in ``docs/en`` while Sphinx reads it.

    Args:
        app: the application.
        name: of the page, without suffix.
        source: its text, changed in place.
    """
    page = SOURCE / f'{name}.md'
    if page.is_file() and not page.is_relative_to(MADE):
        source[0], _ = lead_links(source[0], page, page)


def setup(app: Sphinx) -> dict[str, bool]:
    """Hook into Sphinx.

    Args:
        app: the application.

    Returns:
        What Sphinx has to know.
    """
    app.connect('builder-inited', make_pages)
    app.connect('source-read', lead_links_of_page)
    return dict(parallel_read_safe=True, parallel_write_safe=True)
