// Where it fails, and every query with what was found for it.

const BUCKETS = [['1', 1, 1], ['2–5', 2, 5], ['6–10', 6, 10], ['11–20', 11, 20],
  ['beyond 20', 21, Infinity], ['no match', 0, 0]];
const SORTS = {
  // Without a match in the gallery a query is neither good nor bad: it comes last.
  worst: ['Worst first', (r, a, b) => !r.rank[a] - !r.rank[b] || r.ap[a] - r.ap[b]
    || r.rank[b] - r.rank[a]],
  best: ['Best first', (r, a, b) => r.ap[b] - r.ap[a] || r.distance[a][0] - r.distance[b][0]],
  sure: ['Nearest first image first', (r, a, b) => r.distance[a][0] - r.distance[b][0]],
  order: ['Order of the dataset', (r, a, b) => a - b]};
const bucketOf = rank => BUCKETS.find(([, low, high]) => rank >= low && rank <= high)[0];
const distinct = values => [...new Set(values)].sort((a, b) => a - b);

const queryOf = i => view().query[i];
const nearestOf = i => ranked().near[i][0];

// Queries that pass all filters, or all but one.
function selected(except) {
  const {rank, near} = ranked(), s = {...state, [except]: DEFAULTS[except]};
  const found = [];
  view().query.forEach((image, i) => {
    const right = rank[i] === 1, nearest = near[i][0];
    if (s.outcome !== 'all' && (s.outcome === 'right') !== right) return;
    if (s.outcome === 'wrong' && !rank[i]) return;
    if (s.rank && bucketOf(rank[i]) !== s.rank) return;
    if (s.qcam && String(cameras[image]) !== s.qcam) return;
    if (s.gcam && String(cameras[nearest]) !== s.gcam) return;
    if (s.id && String(people[image]) !== s.id) return;
    if (s.other && String(people[nearest]) !== s.other) return;
    found.push(i);
  });
  return found;
}

const attribute = values => escape(JSON.stringify(values));

function showFailures() {
  const {rank} = ranked(), all = view().query.map((_, i) => i);
  const counts = BUCKETS.map(([name]) => [name, all.filter(i => bucketOf(rank[i]) === name).length])
    .filter(([name, count]) => count || name === '1');
  const {trials} = table();
  $('failures-lead').textContent = `${trials.length > 1 ? `The first of ${trials.length} galleries, r` : 'R'
    }anked by “${state.ranking}”${data.counts_people ? '; ranks count people' : ''
    }. Choose a bar, a field or a person to see these queries below.`;
  const most = Math.max(...counts.map(([, count]) => count));
  $('ranks').innerHTML = `<div class="bars">${counts.map(([name, count]) =>
    `<button class="plain" data-select="${attribute({rank: name})}" aria-pressed="${
      state.rank === name}"><span>${/\d/.test(name) ? 'rank ' : ''}${name}</span><span class="track">
      <span style="width:${100 * count / most}%"></span></span><span class="number">${number(count)}
      · ${percent(100 * count / all.length)}</span></button>`).join('')}</div>`;
  showCameras(all);
  showPeople(all);
  showConfusions(all);
}

function showCameras(all) {
  const {rank} = ranked();
  const from = distinct(all.map(i => cameras[queryOf(i)]));
  const to = distinct(all.map(i => cameras[nearestOf(i)]));
  $('cameras-card').hidden = from.length * to.length < 2;
  const dense = to.length > 5;  // as LLCM with nine: numbers alone fit
  const rows = from.map(q => `<tr><th>${dense ? q : `query<br>camera ${q}`}</th>${to.map(g => {
    const here = all.filter(i => cameras[queryOf(i)] === q && cameras[nearestOf(i)] === g);
    if (!here.length) return '<td></td>';
    const share = here.filter(i => rank[i] === 1).length / here.length;
    const colour = `color-mix(in oklab, var(--card), var(--${share < 0.5 ? 'wrong' : 'right'}) ${
      Math.round(Math.abs(share - 0.5) * 110)}%)`;
    const pressed = state.qcam === String(q) && state.gcam === String(g);
    return `<td><button style="background:${colour}" aria-pressed="${pressed}" data-select="${
      attribute({qcam: String(q), gcam: String(g)})}">${Math.round(100 * share)} %<small>${
      number(here.length)}</small></button></td>`;
  }).join('')}</tr>`);
  const heads = to.map(g => `<th>${dense ? g : `camera ${g}`}</th>`);
  $('cameras').innerHTML = `<div class="scroll"><table class="matrix${dense ? ' dense' : ''}"><tr><th>${
    dense ? 'query, nearest' : ''}</th>${heads.join('')}</tr>${rows.join('')}</table></div><p class="lead" style="margin:8px 0 0">Percent right, by
    the cameras of the query and of the nearest image; below it how many queries.</p>`;
}

function groups(all, key) {
  const found = new Map();
  for (const i of all) {
    const name = key(i);
    if (!found.has(name)) found.set(name, []);
    found.get(name).push(i);
  }
  return [...found.entries()];
}

function showPeople(all) {
  const {rank, ap} = ranked();
  const scored = groups(all.filter(i => rank[i]), i => people[queryOf(i)]).map(([id, rows]) => ({
    id, rows, ap: sum(rows.map(i => ap[i])) / rows.length / 10,
    right: 100 * rows.filter(i => rank[i] === 1).length / rows.length}));
  scored.sort((a, b) => a.ap - b.ap);
  $('people').innerHTML = `<div class="list">${scored.slice(0, 6).map(({id, rows, right, ap: mean}) =>
    `<button class="plain" data-select="${attribute({id: String(id)})}">${
      picture(queryOf(rows.reduce((a, b) => ap[a] <= ap[b] ? a : b)))}<span>identity ${id}<small>${
      percent(right)} right</small><small>mAP ${percent(mean)}</small></span></button>`).join('')}</div>`;
}

function showConfusions(all) {
  const {rank} = ranked();
  const pairs = groups(all.filter(i => rank[i] > 1),
    i => `${people[queryOf(i)]} ${people[nearestOf(i)]}`).sort((a, b) => b[1].length - a[1].length);
  $('confusions').innerHTML = pairs.length ? `<div class="list">${pairs.slice(0, 6).map(([, rows]) => {
    const query = queryOf(rows[0]), other = nearestOf(rows[0]);
    return `<button class="plain" data-select="${attribute({id: String(people[query]),
      other: String(people[other])})}">${picture(query)}${picture(other)}<span>${who(query)} taken
      for ${who(other)}<small>${plural(rows.length, 'query')}</small></span></button>`;
  }).join('')}</div>` : '<p class="none">No query has a wrong person first.</p>';
}

function prepareQueries() {
  $('queries').addEventListener('change', event => {
    const key = event.target.dataset.filter;
    if (key) change({[key]: event.target.value.trim()});
  });
  document.addEventListener('keydown', event => {
    if (event.target.closest('input, select')) return;
    if (event.key === 'n') turn(1);
    if (event.key === 'p') turn(-1);
  });
}

function turn(step) {
  const pages = Math.max(1, Math.ceil(selected().length / PAGE));
  const page = Math.min(pages, Math.max(1, Number(state.page) + step));
  if (page !== Number(state.page)) change({page: String(page)}, 'queries');
}

function options(key, values, any, name) {
  return `<select data-filter="${key}"><option value="">${any}</option>${values.map(value =>
    `<option value="${value}"${String(value) === state[key] ? ' selected' : ''}>${name(value)}</option>`)
    .join('')}</select>`;
}

function showFilters() {
  const all = view().query.map((_, i) => i), {rank} = ranked();
  const from = distinct(all.map(i => cameras[queryOf(i)]));
  const to = distinct(all.map(i => cameras[nearestOf(i)]));
  const buckets = BUCKETS.map(b => b[0]).filter(b => b === state.rank
    || rank.some(r => bucketOf(r) === b));
  const active = FILTERS.some(key => state[key] !== DEFAULTS[key]);
  $('filters').innerHTML = group('outcome', [['all', 'All'], ['wrong', 'Wrong first'],
    ['right', 'Right first']])
    + `<label>first match ${options('rank', buckets, 'at any rank', b =>
      /\d/.test(b) ? `rank ${b}` : b)}</label>`
    + (from.length * to.length > 1 ? `<label>query ${options('qcam', from, 'any camera', c =>
      `camera ${c}`)}</label><label>nearest ${options('gcam', to, 'any camera', c =>
      `camera ${c}`)}</label>` : '')
    + `<label>identity <input type="text" inputmode="numeric" data-filter="id"
      value="${escape(state.id)}"></label>`
    + `<label>taken for <input type="text" inputmode="numeric" data-filter="other"
      value="${escape(state.other)}"></label>`
    + (active ? '<button class="plain" data-select="{}" style="color:var(--accent)">Clear</button>' : '');
  $('order').innerHTML = `<select data-filter="sort" aria-label="Order">${Object.entries(SORTS)
    .map(([key, [name]]) => `<option value="${key}"${key === state.sort ? ' selected' : ''}>${name}</option>`)
    .join('')}</select>`;
}

function showQueries() {
  showFilters();
  const found = selected(), order = (SORTS[state.sort] || SORTS.worst)[1];
  found.sort((a, b) => order(ranked(), a, b) || a - b);
  const pages = Math.max(1, Math.ceil(found.length / PAGE));
  const page = Math.min(pages, Math.max(1, Number(state.page) || 1));
  state.page = String(page);
  const right = found.filter(i => ranked().rank[i] === 1).length;
  $('count').innerHTML = `<b>${number(found.length)}</b> of ${plural(view().query.length, 'query')}`
    + (found.length ? `, ${percent(100 * right / found.length)} right` : '');
  $('count').dataset.count = found.length;
  $('rows').innerHTML = found.slice((page - 1) * PAGE, page * PAGE).map(queryRow).join('')
    || '<p class="none">No query is like this. Clear a filter to see more.</p>';
  for (const pager of document.querySelectorAll('.pages')) {
    pager.innerHTML = `<button title="key p"${page > 1 ? '' : ' disabled'}>Previous</button>
      page ${number(page)} of ${number(pages)}
      <button title="key n"${page < pages ? '' : ' disabled'}>Next</button>`;
    pager.firstElementChild.onclick = () => turn(-1);
    pager.lastElementChild.onclick = () => turn(1);
  }
}

function queryRow(i) {
  const r = ranked(), image = queryOf(i), rank = r.rank[i];
  const shots = r.near[i].map((found, k) => shot(found, people[found] === people[image],
    r.distance[i][k]));
  if (r.match_at[i] > r.near[i].length)
    shots.push(`<div class="gap">…<br>image ${number(r.match_at[i])}</div>`,
      shot(r.match[i], true, r.match_distance[i]));
  const elsewhere = data.rankings.filter(name => name !== state.ranking).map(name =>
    `${escape(name)}: ${number(view().rankings[name].rank[i])}`).join('<br>');
  return `<article class="row"><div class="who">${picture(image)}<p><b>identity ${people[image]}</b><br>
    ${place(image)}<br>${rank ? `first match at rank <b style="color:var(--${rank === 1 ? 'right' : 'wrong'
  })">${number(rank)}</b><br>AP ${percent(r.ap[i] / 10)}` : 'no match in the gallery'}${
  elsewhere && rank ? `<br><small>${elsewhere}</small>` : ''}</p></div>
    <div class="found">${shots.join('')}</div></article>`;
}

function shot(index, right, distance) {
  return `<div class="shot${right ? ' right' : ''}"><div class="frame">${picture(index)}
    <span class="mark">${right ? '✓' : '✕'}</span></div>${who(index)}<br>${
  cameras[index] ? `cam ${cameras[index]}` : modality(index)}<br>${(distance / 1000).toFixed(3)}</div>`;
}
