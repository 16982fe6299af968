"""Text files are read and written in UTF-8, whatever the locale."""

import ast

#: What opens a text file.
OPENERS = {'open', 'read_text', 'write_text', 'fdopen', 'TextIOWrapper'}


def opens_by_locale(call):
    """Tell whether a call opens a text file without its encoding."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, 'id', '')
    owner = getattr(getattr(call.func, 'value', None), 'id', '')
    if name.endswith('_text') and isinstance(call.func, ast.Name):
        return False  # a function of our own
    if name not in OPENERS or owner in ('Image', 'os', 'Segment') and name == 'open':
        return False
    words = [] if name.endswith('_text') else [
        arg.value for arg in (*call.args, *(word.value for word in call.keywords))
        if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    binary = any('b' in word and set(word) <= set('rwax+bt') for word in words)
    return not binary and 'encoding' not in {word.arg for word in call.keywords}


def test_every_text_file_has_its_encoding(repo_root):
    found = [
        f'{path.relative_to(repo_root)}:{node.lineno}'
        for folder in ('mmvireid', 'tools', 'benchmarks')
        for path in sorted((repo_root / folder).rglob('*.py'))
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
        if isinstance(node, ast.Call) and opens_by_locale(node)
    ]
    assert found == []


def test_the_check_can_fail():
    for text, wrong in (("open('a')", True), ("open('a', 'rb')", False), ('p.read_text()', True),
                        ("open('a', encoding='utf-8')", False), ("p.write_text('b')", True)):
        assert opens_by_locale(ast.parse(text).body[0].value) == wrong, text
