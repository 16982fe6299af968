"""The examples in docstrings do what they show."""

import doctest
import importlib
import pkgutil

import mmvireid


def examples():
    """Give all docstrings of the package that have examples, in the order of their names."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = {}
    for info in pkgutil.walk_packages(mmvireid.__path__, 'mmvireid.'):
        for test in finder.find(importlib.import_module(info.name), info.name):
            if test.examples:
                found[test.name] = test
    return [found[name] for name in sorted(found)]


def run(tests):
    """Give the report of each docstring whose examples fail."""
    failed = {}
    for test in tests:
        # Each begins with nothing: a reader sees no import of another docstring.
        test.globs = {'__name__': '__main__'}
        report = []
        runner = doctest.DocTestRunner(
            optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        if runner.run(test, out=report.append).failed:
            failed[test.name] = ''.join(report)
    return failed


def test_examples_of_docstrings_are_right(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # what an example writes is not written here
    found = examples()
    failed = run(found)
    assert not failed, '\n'.join(failed.values())
    # A finder that finds nothing would be content with everything.
    assert len(found) >= 30


def test_a_wrong_example_is_noticed():
    text = '>>> 1 + 1\n3\n>>> undefined\n1\n'
    wrong = doctest.DocTestParser().get_doctest(text, {}, 'wrong', None, None)
    report = run([wrong])['wrong']
    assert 'Expected:\n    3\nGot:\n    2' in report
    assert 'NameError' in report
