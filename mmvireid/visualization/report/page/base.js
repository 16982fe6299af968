// What every part of the page uses: the data, the state, small helpers.

const data = JSON.parse(document.getElementById('data').textContent);
const pictures = JSON.parse(document.getElementById('thumbnails').textContent);
const people = data.images.identity, cameras = data.images.camera;
const PAGE = 10;

// The state stands in the address, so that a view can be kept and shared.
const DEFAULTS = {setting: data.views[0].setting, ranking: data.rankings.at(-1), sort: 'worst',
  outcome: 'all', rank: '', qcam: '', gcam: '', id: '', other: '', page: '1'};
const state = {...DEFAULTS};
const FILTERS = ['outcome', 'rank', 'qcam', 'gcam', 'id', 'other'];

const $ = id => document.getElementById(id);
const number = value => Number(value).toLocaleString('en-GB');
// Number and sign stay on one line.
const percent = value => `${value.toFixed(1)}\u00a0%`;
const sum = values => values.reduce((total, value) => total + value, 0);
const plural = (count, word) => `${number(count)} ${count === 1 ? word : words[word] || word + 's'}`;
const words = {query: 'queries'};

function escape(text) {
  return String(text).replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`);
}

function picture(index) {
  return `<img alt="" src="data:${pictures.mime};base64,${pictures.images[index]}"
    title="${escape(data.images.path[index])}">`;
}

// Who is in an image; in a gallery there may be people whom nobody knows.
function who(index) {
  return people[index] < 0 ? 'unknown' : `id ${people[index]}`;
}

// Where somebody was seen, if the dataset says so.
function place(index) {
  return cameras[index] ? `camera ${cameras[index]}` : modality(index);
}

function modality(index) {
  return data.images.modality[index] ? 'infrared' : 'visible';
}

function series(name) {
  return `var(--s${data.rankings.indexOf(name) % 6})`;
}

function group(key, options) {
  const buttons = options.map(([value, label]) => `<button data-set="${key}"
    data-value="${escape(value)}" aria-pressed="${state[key] === value}">${escape(label)}</button>`);
  return `<span class="group" role="group">${buttons.join('')}</span>`;
}

const view = () => data.views.find(one => one.setting === state.setting);
const table = () => data.tables.find(one => one.setting === state.setting);
const ranked = () => view().rankings[state.ranking];

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const key of Object.keys(DEFAULTS)) state[key] = given.get(key) ?? DEFAULTS[key];
  if (!view()) state.setting = DEFAULTS.setting;
  if (!data.rankings.includes(state.ranking)) state.ranking = DEFAULTS.ranking;
}

function writeAddress() {
  const changed = Object.keys(DEFAULTS).filter(key => state[key] !== DEFAULTS[key]);
  const query = new URLSearchParams(changed.map(key => [key, state[key]]));
  history.replaceState(null, '', changed.length ? `#${query}` : location.pathname + location.search);
}

// Change the state and show it; a filter goes back to the first page.
function change(values, target) {
  if (!('page' in values)) state.page = '1';
  Object.assign(state, values);
  writeAddress();
  show('setting' in values || 'ranking' in values);
  if (target) jump(target);
}

// Nothing that is jumped to hides under the bar, however many lines it takes.
function jump(target) {
  const height = document.querySelector('.bar').offsetHeight;
  document.documentElement.style.scrollPaddingTop = `${height + 12}px`;
  $(target).scrollIntoView();
}

function show(everything) {
  if (everything) {
    showChoices();
    showSummary();
    showDistances();
  }
  showFailures();
  showQueries();
}

function showChoices() {
  const settings = data.views.map(one => [one.setting, one.setting.replace('_', ' ')]);
  const rankings = data.rankings.map(name => [name, name]);
  $('choices').innerHTML = (settings.length > 1 ? group('setting', settings) : '')
    + (rankings.length > 1 ? group('ranking', rankings) : '');
}

function showSections() {
  const names = {summary: 'Summary', failures: 'Failures', queries: 'Queries',
    distances: 'Distances', map: 'Map', clustering: 'Pseudo labels'};
  $('map').hidden = !data.map;
  $('clustering').hidden = !data.clustering;
  $('sections').innerHTML = Object.entries(names).filter(([id]) => !$(id).hidden)
    .map(([id, name]) => `<a href="#" data-go="${id}">${name}</a>`).join('');
}

function start() {
  readAddress();
  showSections();
  prepareQueries();
  show(true);
  showMap();
  showEpochs();
  document.addEventListener('click', event => {
    const link = event.target.closest('[data-go]');
    if (link) {
      event.preventDefault();
      jump(link.dataset.go);
    }
    const button = event.target.closest('[data-set]');
    if (button) change({[button.dataset.set]: button.dataset.value});
    const selection = event.target.closest('[data-select]');
    if (selection) select(JSON.parse(selection.dataset.select));
  });
  window.addEventListener('hashchange', () => { readAddress(); show(true); });
}

// Select queries from elsewhere on the page, instead of what was selected before.
function select(values) {
  const cleared = Object.fromEntries(FILTERS.map(key => [key, DEFAULTS[key]]));
  change({...cleared, ...values}, 'queries');
}
