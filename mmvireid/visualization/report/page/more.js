// Distances, the map of descriptors, and pseudo labels over the epochs.

function showDistances() {
  const {panels, processed} = ranked();
  const across = panels[0];
  $('distances-lead').textContent = (across.order === null ? '' : 'Across modalities, two images of one '
    + `person are nearer than two of different people in ${percent(across.order)} of all comparisons `
    + '(50 % would be chance). ') + 'The less the two colours overlap, the better.'
    + (processed ? ` “${state.ranking}” changes distances between queries and gallery only; within a `
      + 'modality they are those of the descriptor it starts from.' : '');
  $('panels').innerHTML = panels.map(panel => `<figure class="card"><figcaption>${
    panel.name[0].toUpperCase() + panel.name.slice(1)}</figcaption><div></div></figure>`).join('');
  [...$('panels').children].forEach((figure, i) => histogram(figure.lastElementChild, panels[i]));
}

function showMap() {
  if (!data.map) return;
  const {image, x, y} = data.map;
  const shown = distinct(image.map(i => people[i]));
  $('map-lead').textContent = `t-SNE of the base descriptor, ${plural(image.length, 'image')} of ${
    shown.length} people: near means similar, far means little. A person whose visible and infrared
    images lie apart is hard to find.`;
  $('map-card').innerHTML = `<div class="legend"><span class="group" role="group">
    <button data-colour="person" aria-pressed="true">Colour by person</button>
    <button data-colour="modality" aria-pressed="false">by modality</button></span>
    <span>● visible &nbsp; ▲ infrared &nbsp; point at one to see it and the same person</span></div>
    <canvas></canvas>`;
  const canvas = $('map-card').querySelector('canvas'), pen = canvas.getContext('2d');
  let colour = 'person', marked = null, points = [];
  const hue = new Map(shown.map((id, k) => [id, k * 137.508 % 360]));

  function draw() {
    const width = canvas.clientWidth, dark = matchMedia('(prefers-color-scheme: dark)').matches;
    const height = Math.min(620, Math.max(360, width * 0.55)), ratio = devicePixelRatio || 1;
    canvas.style.height = `${height}px`;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(document.documentElement);
    const extent = [Math.max(...x) || 1, Math.max(...y) || 1];
    points = image.map((_, k) => [16 + x[k] / extent[0] * (width - 32),
      height - 16 - y[k] / extent[1] * (height - 32)]);
    image.forEach((i, k) => {
      const [px, py] = points[k];
      pen.globalAlpha = marked === null || people[i] === marked ? 0.85 : 0.12;
      pen.fillStyle = colour === 'person' ? `hsl(${hue.get(people[i])} 65% ${dark ? 62 : 45}%)`
        : style.getPropertyValue(data.images.modality[i] ? '--s1' : '--s0');
      pen.beginPath();
      if (data.images.modality[i]) {
        pen.moveTo(px, py - 5.5);
        pen.lineTo(px + 5, py + 4);
        pen.lineTo(px - 5, py + 4);
      } else pen.arc(px, py, 4.2, 0, 7);
      pen.fill();
    });
    pen.globalAlpha = 1;
  }

  canvas.onpointermove = event => {
    const box = canvas.getBoundingClientRect();
    const mouse = [event.clientX - box.left, event.clientY - box.top];
    let best = -1, nearest = 14 ** 2;
    points.forEach(([px, py], k) => {
      const away = (px - mouse[0]) ** 2 + (py - mouse[1]) ** 2;
      if (away < nearest) [best, nearest] = [k, away];
    });
    const before = marked;
    marked = best < 0 ? null : people[image[best]];
    if (marked !== before) draw();
    if (best < 0) return tip();
    tip(event, `${picture(image[best])}identity ${people[image[best]]}<br>${modality(image[best])}${
      cameras[image[best]] ? `, camera ${cameras[image[best]]}` : ''}`);
  };
  canvas.onpointerleave = () => { marked = null; draw(); tip(); };
  $('map-card').onclick = event => {
    const button = event.target.closest('[data-colour]');
    if (!button) return;
    colour = button.dataset.colour;
    for (const one of $('map-card').querySelectorAll('[data-colour]'))
      one.setAttribute('aria-pressed', one === button);
    draw();
  };
  let width = canvas.clientWidth;
  draw();
  new ResizeObserver(() => requestAnimationFrame(() => {
    if (canvas.clientWidth !== width) {
      width = canvas.clientWidth;
      draw();
    }
  })).observe(canvas.parentElement);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
}

// One chart a quantity, one line a branch, or a modality of it where each has its own clusters.
function showEpochs() {
  if (!data.clustering) return;
  const lineOf = ({branch, modality}) =>
    [branch, modality === 'both' ? '' : modality].filter(Boolean).join(', ') || 'all';
  const names = [...new Set(data.clustering.map(lineOf))];
  const epochs = distinct(data.clustering.map(record => record.epoch));
  // Key, title, unit, highest value where there is one.
  const charts = [['clusters', 'Clusters', ''], ['mixed', 'Clusters with both modalities', ''],
    ['linked', 'Images in clusters with both modalities', ' %', 100],
    ['outliers', 'Images in no cluster', ''], ['ari', 'Agreement with true identities (ARI)', '', 1],
    ['nmi', 'Normalised mutual information', '', 1],
    ['purity', 'Visible-infrared pairs that are right', ' %', 100]];
  const lookup = new Map(data.clustering.map(record => [`${lineOf(record)} ${record.epoch}`, record]));
  const value = (name, epoch, key) => lookup.get(`${name} ${epoch}`)?.[key] ?? null;
  const drawn = charts.filter(([key]) => data.clustering.some(record =>
    typeof record[key] === 'number'));
  $('epochs').innerHTML = drawn.map(([, title, unit]) => `<figure class="card"><figcaption>${title}${
    unit && `,${unit}`}</figcaption><div></div></figure>`).join('');
  drawn.forEach(([key, , unit, high], i) => lineChart($('epochs').children[i].lastElementChild, {
    x: epochs, label: 'epoch', unit, height: 220, low: 0, high,
    lines: names.map((name, k) => ({name, colour: `var(--s${k % 6})`,
      y: epochs.map(epoch => value(name, epoch, key))}))
      .filter(line => line.y.some(v => v !== null))}));
}
