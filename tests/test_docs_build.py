"""The documentation as a site."""

import re

import pytest
import yaml
from commands import ROOT


@pytest.fixture(scope='module')
def site(tmp_path_factory, run_tool):
    """The built pages; a warning is an error."""
    out = tmp_path_factory.mktemp('site')
    run_tool('-m', 'sphinx', '-W', '--keep-going', '-q', '-b', 'html', 'docs/en', out)
    return out


@pytest.mark.slow
def test_links_of_the_site_lead_somewhere(site):
    pages = {path.resolve(): path.read_text() for path in site.rglob('*.html')}
    assert len(pages) > 60
    for path, text in pages.items():
        for link in re.findall(r'<a [^>]*href="([^"]+)"', text):
            if re.match(r'\w+:', link):
                continue
            target, _, anchor = link.partition('#')
            target = (path.parent / target).resolve() if target else path
            assert target.exists(), f'{path.name}: {link}'
            if anchor and target in pages:
                assert f'id="{anchor}"' in pages[target], f'{path.name}: {link}'


@pytest.mark.slow
def test_the_zoo_shows_every_model_and_published_number(site):
    text = (site / 'model_zoo.html').read_text().replace('\u00a0', ' ')
    shown = re.sub(r'<[^>]+>', ' ', text)
    for name in yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']:
        metafile = yaml.load((ROOT / name).read_text(), yaml.BaseLoader)
        for model in metafile['Models']:
            results = model.get('Results', [])
            config = model['Config'].replace('/', '-')
            assert (f'repository/{config}.html' in text) == bool(results), model['Name']
            for published in (result['Metrics']['Published'] for result in results):
                if published:
                    assert f'{published["Rank-1"]} / {published["mAP"]}' in shown


@pytest.mark.slow
def test_the_reference_has_the_contracts(site):
    text = ''.join(path.read_text() for path in site.glob('api/*.html'))
    for name in ('mmvireid.clustering.jaccard_distance', 'mmvireid.evaluation.rank_metrics',
                 'mmvireid.evaluation.k_reciprocal_rerank', 'mmvireid.models.transfer_affinity',
                 'mmvireid.models.ClusterMemory', 'mmvireid.datasets.sysu_gallery',
                 'mmvireid.apis.VIReIDInferencer'):
        assert f'id="{name}"' in text
