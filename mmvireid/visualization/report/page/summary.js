// How good: a sentence, four numbers, a curve and a table.

const NAMES = {mAP: 'mAP', mINP: 'mINP'};
const nameOf = metric => NAMES[metric] || metric.replace(/^R/, 'Rank-');

function showSummary() {
  const {rows, num_queries, num_gallery, title, trials} = table();
  const row = rows[state.ranking], summary = row.summary, curve = row.cmc;
  const among = Math.min(10, curve.length);
  const valid = row.valid[view().trial];
  $('verdict').innerHTML = `${data.rankings.length > 1 ?
    `Ranked by “${escape(state.ranking)}”, the` : 'The'} right person comes first for <b>${percent(curve[0])}</b> of the
    queries and is among the first ${among} for <b>${percent(curve[among - 1])}</b>.`;
  const over = trials.length > 1 ? `, mean over ${trials.length} random galleries` : '';
  const missing = valid < num_queries ? `; ${number(num_queries - valid)} queries have no match` : '';
  const notes = document.querySelector('.notes');
  let last = notes.querySelector('.task');
  if (!last) {
    last = document.createElement('span');
    last.className = 'task';
    notes.append(last);
  }
  last.textContent = `${title}: ${plural(num_queries, 'query')}, ${plural(num_gallery, 'gallery image')}`
    + over + missing;
  const shown = ['R1', among === 10 && 'R10' in summary ? 'R10' : Object.keys(summary)[1], 'mAP', 'mINP'];
  $('tiles').innerHTML = shown.map(metric => tile(metric, summary, Object.values(row.trials)))
    .join('');
  lineChart($('cmc'), {
    x: curve.map((_, i) => i + 1), low: 0, high: 100, unit: ' %',
    label: data.counts_people ? 'rank (counting people)' : 'rank',
    lines: data.rankings.map(name => ({name, colour: series(name), y: rows[name].cmc,
      wide: name === state.ranking,
      band: name === state.ranking && trials.length > 1 ? rows[name].cmc_std : null}))});
  showTables();
}

function tile(metric, summary, trials) {
  const spread = summary[`${metric}_std`];
  let strip = '';
  if (trials.length > 1) {
    const values = trials.map(trial => trial[metric]);
    const low = Math.min(...values), range = Math.max(...values) - low || 1;
    strip = `<svg viewBox="0 0 200 12" role="img"><title>${values.length} trials, ${low.toFixed(2)} to ${
      Math.max(...values).toFixed(2)}</title><line class="grid" x1="4" x2="196" y1="6" y2="6"/>${
      values.map(v => `<circle cx="${4 + (v - low) / range * 192}" cy="6" r="4" opacity=".55"
        style="fill:${series(state.ranking)}"/>`).join('')}</svg>`;
  }
  return `<div class="tile"><div class="name">${nameOf(metric)}</div><div class="value">${
    summary[metric].toFixed(1)}<small> %${spread === undefined ? '' : ` ± ${spread.toFixed(1)}`}</small>
    </div>${strip}</div>`;
}

function showTables() {
  const explored = table();
  const others = data.tables.filter(one => one !== explored);
  let html = `<h3>${escape(explored.title)}, %</h3>${metricTable(explored)}`;
  if (explored.trials.length > 1) html += `<details><summary>Each trial</summary>${
    trialTable(explored)}</details>`;
  if (others.length) html += `<details><summary>Other settings</summary>${others.map(one =>
    `<h3 style="margin-top:14px">${escape(one.title)}, %</h3>${metricTable(one)}`).join('')}</details>`;
  $('tables').innerHTML = html;
}

function metricTable({rows}) {
  const metrics = Object.keys(Object.values(rows)[0].summary).filter(m => !m.endsWith('_std'));
  const best = Object.fromEntries(metrics.map(m =>
    [m, Math.max(...data.rankings.map(name => rows[name].summary[m]))]));
  return grid(['', ...metrics.map(nameOf)], data.rankings.map(name => {
    const summary = rows[name].summary;
    return [escape(data.labels[name]), ...metrics.map(m => {
      const value = summary[m].toFixed(1), spread = summary[`${m}_std`];
      const bold = data.rankings.length > 1 && summary[m] === best[m];
      return (bold ? `<b>${value}</b>` : value)
        + (spread === undefined ? '' : `<br><small>± ${spread.toFixed(1)}</small>`);
    })];
  }), data.rankings.indexOf(state.ranking));
}

function trialTable({rows, trials}) {
  const scores = rows[state.ranking].trials, metrics = Object.keys(scores[trials[0]]);
  return grid([`${escape(state.ranking)}, trial`, ...metrics.map(nameOf)], trials.map(trial =>
    [escape(trial), ...metrics.map(m => scores[trial][m].toFixed(2))]));
}

function grid(head, rows, chosen) {
  return `<div class="scroll"><table><tr>${head.map(cell => `<th>${cell}</th>`).join('')}</tr>${
    rows.map((cells, i) => `<tr${i === chosen ? ' class="chosen"' : ''}>${
      cells.map(cell => `<td>${cell}</td>`).join('')}</tr>`).join('')}</table></div>`;
}
