// Lines and histograms as inline SVG, from plain numbers.

function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map(m => m * power).find(s => s >= rough * 0.999);
  const found = [];
  for (let t = Math.ceil(low / step - 1e-9) * step; t <= high + step * 1e-6; t += step)
    found.push(Number(t.toPrecision(10)));
  return found;
}

// lines: [{name, colour, y: [...], band: [...], wide}] over the shared positions x.
function lineChart(element, {x, lines, low, high, label, unit, height = 260}) {
  // Drawn at the size at which it is shown: scaled down, its text would be too small to read.
  const W = Math.max(280, element.clientWidth || 560), H = Math.min(height, Math.round(W * 0.6));
  const left = 40, right = 10, top = 8, bottom = 34;
  const values = lines.flatMap(line => line.y.filter(v => v !== null));
  low ??= Math.min(...values);
  high ??= Math.max(...values);
  if (high <= low) high = low + 1;
  const first = x[0], last = x.at(-1) > first ? x.at(-1) : first + 1;
  const px = v => left + (v - first) / (last - first) * (W - left - right);
  const py = v => H - bottom - (v - low) / (high - low) * (H - top - bottom);
  const path = points => points.map((p, i) => `${i ? 'L' : 'M'}${p[0].toFixed(1)},${p[1].toFixed(1)}`)
    .join('');
  let svg = '';
  for (const t of ticks(low, high, 5))
    svg += `<line class="grid" x1="${left}" x2="${W - right}" y1="${py(t)}" y2="${py(t)}"/>
      <text x="${left - 6}" y="${py(t) + 4}" text-anchor="end">${t}</text>`;
  const marks = ticks(first, last, 8).filter(t => Number.isInteger(t) && t - first > (last - first) / 16);
  for (const t of [first, ...marks])
    svg += `<text x="${px(t)}" y="${H - bottom + 18}" text-anchor="middle">${t}</text>`;
  svg += `<text x="${(W + left) / 2}" y="${H - 1}" text-anchor="middle">${escape(label)}</text>`;
  for (const line of lines) {
    const points = line.y.map((v, i) => v === null ? null : [px(x[i]), py(v)]).filter(Boolean);
    if (line.band) {
      const up = line.y.map((v, i) => [px(x[i]), py(Math.min(high, v + line.band[i]))]);
      const down = line.y.map((v, i) => [px(x[i]), py(Math.max(low, v - line.band[i]))]).reverse();
      svg += `<path d="${path([...up, ...down])}Z" style="fill:${line.colour}" opacity=".14"/>`;
    }
    svg += `<path d="${path(points)}" fill="none" style="stroke:${line.colour}"
      stroke-width="${line.wide ? 3 : 1.75}" stroke-linejoin="round"/>`;
    if (points.length < 3)
      svg += points.map(p => `<circle cx="${p[0]}" cy="${p[1]}" r="3" style="fill:${line.colour}"/>`)
        .join('');
  }
  svg += `<line class="cursor" y1="${top}" y2="${H - bottom}" style="stroke:var(--soft)" hidden/>`;
  const legend = lines.map(line => `<span><i style="background:${line.colour}"></i>`
    + `${escape(line.name)}</span>`).join('');
  element.innerHTML = `<svg viewBox="0 0 ${W} ${H}" role="img">${svg}</svg>
    <div class="legend">${legend}</div>`;
  const drawing = element.firstElementChild, cursor = drawing.querySelector('.cursor');
  drawing.onpointermove = event => {
    const box = drawing.getBoundingClientRect();
    const at = first + ((event.clientX - box.left) / box.width * W - left)
      / (W - left - right) * (last - first);
    let i = 0;
    x.forEach((v, k) => { if (Math.abs(v - at) < Math.abs(x[i] - at)) i = k; });
    cursor.removeAttribute('hidden');
    cursor.setAttribute('x1', px(x[i]));
    cursor.setAttribute('x2', px(x[i]));
    tip(event, `${escape(label)} ${x[i]}<br>` + lines.filter(line => line.y[i] !== null).map(line =>
      `${escape(line.name)} <b>${Number(line.y[i].toFixed(3))}${unit || ''}</b>`).join('<br>'));
  };
  drawing.onpointerleave = () => { cursor.setAttribute('hidden', ''); tip(); };
}

// Two histograms over the same bins, in percent of their own pairs.
function histogram(element, panel) {
  const W = 360, H = 170, bottom = 24, bins = panel.same.length;
  const highest = Math.max(...panel.same, ...panel.different);
  const area = (values, colour) => {
    let path = `M0,${H - bottom}`;
    values.forEach((v, i) => {
      const y = (H - bottom) - v / highest * (H - bottom - 6);
      path += `L${i * W / bins},${y.toFixed(1)}L${(i + 1) * W / bins},${y.toFixed(1)}`;
    });
    return `<path d="${path}L${W},${H - bottom}Z" style="fill:${colour};stroke:${colour}"
      fill-opacity=".28" stroke-width="1.5"/>`;
  };
  const [low, high] = panel.range;
  const axis = ticks(low, high, 5).map(t => `<text x="${(t - low) / (high - low) * W}" y="${H - 6}"
    text-anchor="middle">${t}</text>`).join('');
  element.innerHTML = `<svg viewBox="0 0 ${W} ${H}" role="img">
    <line class="grid" x1="0" x2="${W}" y1="${H - bottom}" y2="${H - bottom}"/>
    ${area(panel.different, 'var(--wrong)')}${area(panel.same, 'var(--right)')}${axis}</svg>
    <div class="legend"><span><i style="background:var(--right)"></i>same person, ${
  number(panel.pairs[0])} pairs</span><span><i style="background:var(--wrong)"></i>different people, ${
  number(panel.pairs[1])}</span></div>`;
}

function tip(event, html) {
  const box = $('tip');
  box.hidden = !event;
  if (!event) return;
  box.innerHTML = html;
  const x = event.clientX + 16, y = event.clientY + 16;
  box.style.left = `${x + box.offsetWidth > innerWidth ? event.clientX - 16 - box.offsetWidth : x}px`;
  box.style.top = `${Math.max(4, Math.min(y, innerHeight - box.offsetHeight - 4))}px`;
}
