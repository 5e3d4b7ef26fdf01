'use strict';
(() => {
  const story = JSON.parse(document.getElementById('data').textContent);
  const { log } = story;
  const count = log.at.length;
  const by = (id) => document.getElementById(id);
  const canvas = by('canvas');
  const paint = canvas.getContext('2d');
  const end = Math.max(story.end, 1);

  // ---- Words --------------------------------------------------------------------------------

  const SIGNS = { command: '$', network: '·', sent: '→', received: '←', event: '!', state: '=', gap: '…' };
  const TROUBLE = /^(ws-disconnected(?!: the application)|ws-failed|warning|malformed|session-dropped)|in doubt|dropped:/;
  const isTrouble = (entry) => log.topic[entry] === 'event' && TROUBLE.test(log.text[entry]);

  function span(micros) {
    const value = Math.abs(micros);
    if (value < 1e3) return `${+value.toFixed(1)} µs`;
    if (value < 1e6) return `${+(value / 1e3).toFixed(2)} ms`;
    if (value < 120e6) return `${+(value / 1e6).toFixed(2)} s`;
    if (value < 7200e6) return `${+(value / 60e6).toFixed(1)} min`;
    if (value < 172800e6) return `${+(value / 3600e6).toFixed(1)} h`;
    return `${+(value / 86400e6).toFixed(1)} days`;
  }
  const seconds = (micros) => (micros / 1e6).toFixed(6);
  const plural = (n, one) => `${n.toLocaleString('en')} ${one}${n === 1 ? '' : 's'}`;

  // ---- View: the time that is shown -----------------------------------------------------------

  const view = { from: 0, to: end };
  let width = 0;
  let height = 0;
  const x = (at) => ((at - view.from) / (view.to - view.from)) * width;
  const timeAt = (px) => view.from + (px / width) * (view.to - view.from);
  const LEAST = 20;

  function show(from, to) {
    const length = Math.min(Math.max(to - from, LEAST), end * 1.1);
    const center = (from + to) / 2;
    from = Math.max(Math.min(center - length / 2, end * 1.05 - length), -end * 0.05);
    view.from = from;
    view.to = from + length;
    draw();
  }
  function zoom(factor, px = width / 2) {
    const at = timeAt(px);
    show(at - (at - view.from) * factor, at + (view.to - at) * factor);
    listFollows();
  }
  function pan(share) {
    const by = (view.to - view.from) * share;
    show(view.from + by, view.to + by);
    listFollows();
  }
  const showAll = () => { show(-end * 0.02, end * 1.02); listFollows(); };

  // ---- Lanes ----------------------------------------------------------------------------------

  let colors = {};
  function readColors() {
    const style = getComputedStyle(document.documentElement);
    colors = new Proxy({}, { get: (_, name) => style.getPropertyValue(`--${name}`).trim() || '#888' });
    const kept = {};
    for (const name of ['back', 'panel', 'line', 'text', 'soft', 'mark', 'bad', 'warn', 'good', 'connect', 'resolve',
      'credentials', 'proxy', 'tls', 'upgrade', 'open', 'closing', 'wait', 'message', 'curve']) kept[name] = colors[name];
    colors = kept;
  }

  const MESSAGE_ROWS = 16;
  const sentEnd = (sent) => sent.resolved ?? end;
  // Rows in which no two messages overlap; what finds no row shares one.
  const rowOf = new Uint8Array(story.sent.length);
  {
    const free = new Float64Array(MESSAGE_ROWS);
    story.sent.forEach((sent, index) => {
      let row = free.findIndex((until) => until <= sent.accepted);
      if (row < 0) row = index % MESSAGE_ROWS;
      free[row] = Math.max(free[row], sentEnd(sent));
      rowOf[index] = row;
    });
  }
  const fateColor = (sent) => {
    if (sent.fate.startsWith('dropped')) return colors.bad;
    if (sent.fate === 'in doubt' || sent.doubts.length) return colors.warn;
    return sent.fate ? colors.message : colors.soft;
  };
  const longestRtt = story.pings.reduce((most, ping) => Math.max(most, (ping.answered ?? ping.at) - ping.at), 1);

  function block(from, to, y, h, color, words) {
    const left = Math.max(x(from), -2);
    const right = Math.min(x(to), width + 2);
    if (right < 0 || left > width) return;
    paint.fillStyle = color;
    paint.fillRect(left, y, Math.max(right - left, 1), h);
    if (words && h > 11 && right - left > 40) {
      paint.save();
      paint.beginPath();
      paint.rect(Math.max(left, 0), y, right - Math.max(left, 0) - 3, h);
      paint.clip();
      paint.fillStyle = words.color ?? '#fff';
      paint.fillText(words.text, Math.max(left, 0) + 5, y + h / 2);
      paint.restore();
    }
  }

  // Points that fall on one pixel are drawn once.
  function points(items, at, mark) {
    let last = -10;
    for (const item of items) {
      const px = x(at(item));
      if (px < -1 || px > width + 1 || px - last < 0.5 && px >= last) continue;
      last = px;
      mark(px, item);
    }
  }

  function curve(y, h, value, color) {
    const most = story.samples.reduce((most, sample) => Math.max(most, value(sample)), 1);
    const level = (sample) => y + h - (value(sample) / most) * (h - 4);
    paint.beginPath();
    paint.moveTo(x(0), y + h);
    let px = 0;
    for (const sample of story.samples) {
      px = x(sample.at);
      if (px > width + 1) { paint.lineTo(width + 1, paint.lastY ?? y + h); break; }
      paint.lineTo(px, paint.lastY ?? y + h);
      paint.lineTo(px, (paint.lastY = level(sample)));
    }
    paint.lineTo(Math.min(x(end), width + 1), paint.lastY ?? y + h);
    paint.lastY = undefined;
    paint.strokeStyle = color;
    paint.lineWidth = 1.5;
    paint.stroke();
    return most;
  }

  const near = (items, at, time, reach) => {
    let best = null;
    let distance = reach;
    for (const item of items) {
      const off = Math.abs(at(item) - time);
      if (off <= distance) { best = item; distance = off; }
    }
    return best;
  };
  const within = (from, to, time, reach) => time >= from - reach && time <= to + reach;

  const ends = (conn) => conn.to ?? end;
  const connWords = (conn) => {
    const stages = conn.stages.map(([name, from], index) =>
      `${name}: ${span((conn.stages[index + 1]?.[1] ?? ends(conn)) - from)}`);
    return [`connection ${conn.id} to ${conn.url}`, ...stages, conn.to === null ? 'lives' : `ended: ${conn.reason}`].join('\n');
  };
  const sentWords = (sent) => [`#${sent.id} ${sent.text}`,
    sent.written === null ? 'not written' : `written after ${span(sent.written - sent.accepted)}`,
    ...sent.doubts.map((at) => `in doubt after ${span(at - sent.accepted)}`),
    sent.fate ? `${sent.fate} after ${span(sentEnd(sent) - sent.accepted)}` : 'in the outbox'].join('\n');

  const lanes = [
    { name: 'connections', height: 34, empty: () => !story.conns.length,
      draw(y, h) {
        for (const conn of story.conns) {
          conn.stages.forEach(([name, from], index) => {
            const to = conn.stages[index + 1]?.[1] ?? ends(conn);
            block(from, to, y + 4, h - 12, colors[name] ?? colors.connect, { text: index ? name : `${conn.id} ${name}` });
          });
          if (conn.to === null) continue;
          const good = conn.cause === 'requested';
          paint.fillStyle = good ? colors.good : colors.bad;
          paint.fillRect(x(conn.to) - 1.5, y, 3, h - 4);
        }
      },
      hit: (time, reach) => {
        const conn = story.conns.findLast((conn) => within(conn.from, ends(conn), time, reach));
        return conn && { entry: conn.entry, words: connWords(conn) };
      } },
    { name: 'waits', height: 22, empty: () => !story.waits.length,
      draw(y, h) {
        for (const wait of story.waits) {
          block(wait.from, wait.to ?? end, y + 2, h - 6, colors.wait, { text: wait.why, color: colors.text });
        }
      },
      hit: (time, reach) => {
        const wait = story.waits.findLast((wait) => within(wait.from, wait.to ?? end, time, reach));
        return wait && { entry: wait.entry, words: `${wait.why}\nwaited ${span((wait.to ?? end) - wait.from)}` };
      } },
    { name: 'messages out', height: MESSAGE_ROWS * 6, grow: 3, empty: () => !story.sent.length,
      draw(y, h) {
        const tall = h / MESSAGE_ROWS;
        const last = new Float64Array(MESSAGE_ROWS).fill(-10);
        story.sent.forEach((sent, index) => {
          const right = x(sentEnd(sent));
          if (right < 0 || x(sent.accepted) > width) return;
          const row = rowOf[index];
          const isPlain = !sent.doubts.length && !sent.fate.startsWith('dropped');
          if (isPlain && right - last[row] < 1) return;
          last[row] = right;
          block(sent.accepted, sentEnd(sent), y + row * tall, tall - 1.5, fateColor(sent), { text: `#${sent.id} ${sent.text}` });
        });
      },
      hit: (time, reach, dy, h) => {
        const row = Math.floor(dy / (h / MESSAGE_ROWS));
        const index = story.sent.findLastIndex((sent, index) =>
          rowOf[index] === row && within(sent.accepted, sentEnd(sent), time, reach));
        return index < 0 ? null : { entry: story.sent[index].entry, words: sentWords(story.sent[index]) };
      } },
    { name: 'messages in', height: 24, empty: () => !story.received.length,
      draw(y, h) {
        points(story.received, (message) => message.at, (px) => {
          paint.fillStyle = colors.open;
          paint.fillRect(px - 0.75, y + 3, 1.5, h - 8);
        });
      },
      hit: (time, reach) => {
        const message = near(story.received, (message) => message.at, time, reach * 2);
        return message && { entry: message.entry, words: `${message.kind} at ${seconds(message.at)} s` };
      } },
    { name: 'Pings', height: 34, grow: 1, empty: () => !story.pings.length,
      note: () => `to ${span(longestRtt)}`,
      draw(y, h) {
        points(story.pings, (ping) => ping.at, (px, ping) => {
          const rtt = (ping.answered ?? ping.at) - ping.at;
          paint.fillStyle = ping.answered === null ? colors.bad : ping.is_ours ? colors.tls : colors.soft;
          const tall = ping.answered === null ? h - 8 : 4 + (rtt / longestRtt) * (h - 12);
          paint.fillRect(px - 1, y + h - 4 - tall, 2, tall);
          if (ping.answered !== null) block(ping.at, ping.answered, y + h - 4, 2, paint.fillStyle);
        });
      },
      hit: (time, reach) => {
        const ping = near(story.pings, (ping) => ping.at, time, reach * 2);
        return ping && { entry: ping.entry, words: `${ping.is_ours ? 'Ping' : "the gateway's Ping"}\n` +
          (ping.answered === null ? 'not answered' : `answered after ${span(ping.answered - ping.at)}`) };
      } },
    { name: 'outbox', height: 44, grow: 1, empty: () => !story.samples.length,
      note: () => `to ${plural(story.samples.reduce((most, one) => Math.max(most, one.outbox), 0), 'message')}`,
      draw: (y, h) => curve(y, h - 4, (sample) => sample.outbox, colors.curve),
      hit: (time) => sampleHit(time, (sample) => `${plural(sample.outbox, 'message')}, ${sample.outbox_bytes.toLocaleString('en')} bytes in the outbox`) },
    { name: 'in flight', height: 44, grow: 1, empty: () => !story.samples.some((sample) => sample.in_flight),
      note: () => `to ${story.samples.reduce((most, one) => Math.max(most, one.in_flight), 0).toLocaleString('en')} B`,
      draw: (y, h) => curve(y, h - 4, (sample) => sample.in_flight, colors.message),
      hit: (time) => sampleHit(time, (sample) => `${sample.in_flight.toLocaleString('en')} bytes in flight`) },
  ].filter((lane) => !lane.empty());

  function sampleHit(time, words) {
    const sample = story.samples.findLast((sample) => sample.at <= time);
    return sample ? { entry: entryAt(sample.at), words: `${words(sample)}\nsince ${seconds(sample.at)} s` } : null;
  }

  const AXIS = 24;
  const LABEL = 14;

  function draw() {
    if (!width) return;
    Object.assign(canvas.dataset, view);
    paint.clearRect(0, 0, width, height);
    paint.font = '11px system-ui, sans-serif';
    paint.textBaseline = 'middle';
    axis();
    // Room that is left over makes the lanes with curves and messages taller, up to three times.
    const least = lanes.reduce((sum, lane) => sum + LABEL + lane.height, AXIS + 10);
    const share = Math.max(height - least, 0) / Math.max(lanes.reduce((sum, lane) => sum + (lane.grow ?? 0), 0), 1);
    let y = AXIS;
    for (const lane of lanes) {
      lane.y = y;
      lane.tall = lane.height + Math.min((lane.grow ?? 0) * share, lane.height * 2);
      paint.fillStyle = colors.soft;
      paint.fillText(lane.name + (lane.note ? `, ${lane.note()}` : ''), 6, y + LABEL / 2);
      lane.draw(y + LABEL, lane.tall);
      y += LABEL + lane.tall;
      paint.fillStyle = colors.line;
      paint.fillRect(0, y - 1, width, 1);
    }
    // Entries that the search found, then the selected one.
    paint.fillStyle = colors.warn;
    if (search.value) points(shown, (entry) => log.at[entry], (px) => paint.fillRect(px - 1, y + 2, 2, 6));
    if (selected !== null) {
      paint.fillStyle = colors.mark;
      paint.fillRect(x(log.at[selected]) - 0.75, AXIS, 1.5, y - AXIS + 8);
    }
  }

  function axis() {
    const length = view.to - view.from;
    const rough = length / (width / 110);
    const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7,
      15e6, 3e7, 6e7, 12e7, 3e8, 6e8, 18e8, 36e8, 72e8, 216e8, 432e8, 864e8, 1728e8, 6048e8, 12096e8, 6048e9];
    const step = steps.find((step) => step >= rough) ?? steps.at(-1);
    paint.fillStyle = colors.soft;
    for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step) {
      const px = x(at);
      paint.globalAlpha = 0.35;
      paint.fillRect(px, AXIS - 6, 1, height);
      paint.globalAlpha = 1;
      paint.fillText(label(at, step), px + 3, 10);
    }
  }
  function label(at, step) {
    if (Math.abs(at) < 0.5) return '0';
    if (step >= 864e8) return `${+(at / 864e8).toFixed(2)} d`;
    if (step >= 36e8) return `${+(at / 36e8).toFixed(2)} h`;
    if (step >= 6e7) return `${+(at / 6e7).toFixed(2)} min`;
    const digits = Math.max(0, 6 - Math.floor(Math.log10(step)));
    return `${(at / 1e6).toFixed(Math.min(digits, 6))} s`;
  }

  // ---- The list -------------------------------------------------------------------------------

  const list = by('list');
  const rows = by('rows');
  const search = by('search');
  const ROW = 22;
  const hidden = new Set();
  let shown = [];
  let selected = null;
  let lower = null;

  function filter() {
    const words = search.value.toLowerCase();
    if (words) lower ??= log.text.map((text) => text.toLowerCase());
    shown = [];
    for (let entry = 0; entry < count; entry += 1) {
      if (hidden.has(log.topic[entry])) continue;
      if (words && !lower[entry].includes(words) && `conn ${log.conn[entry]}` !== words) continue;
      shown.push(entry);
    }
    by('count').textContent = shown.length === count ? plural(count, 'entry').replace('entrys', 'entries')
      : `${shown.length.toLocaleString('en')} of ${count.toLocaleString('en')}`;
    rows.style.height = `${shown.length * ROW}px`;
    fill();
    draw();
  }

  // Index in `shown` of the first entry at or behind `entry`.
  function rank(entry) {
    let low = 0;
    let high = shown.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (shown[middle] < entry) low = middle + 1; else high = middle;
    }
    return low;
  }
  // The first entry at or behind a time.
  function entryAt(time) {
    let low = 0;
    let high = count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (log.at[middle] < time) low = middle + 1; else high = middle;
    }
    return Math.min(low, count - 1);
  }

  function fill() {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5);
    const last = Math.min(shown.length, first + Math.ceil(list.clientHeight / ROW) + 10);
    const parts = [];
    for (let index = first; index < last; index += 1) parts.push(row(index));
    rows.replaceChildren(...parts);
    if (selected === null) list.removeAttribute('aria-activedescendant');
    else list.setAttribute('aria-activedescendant', `entry-${selected}`);
  }
  function row(index) {
    const entry = shown[index];
    const topic = log.topic[entry];
    const element = document.createElement('div');
    element.className = `row ${topic}${isTrouble(entry) ? ' bad' : ''}`;
    element.id = `entry-${entry}`;
    element.style.top = `${index * ROW}px`;
    element.setAttribute('role', 'option');
    element.setAttribute('aria-posinset', index + 1);
    element.setAttribute('aria-setsize', shown.length);
    element.setAttribute('aria-selected', entry === selected);
    element.setAttribute('aria-label', sentence(entry));
    const part = (name, text) => {
      const part = document.createElement('span');
      part.className = name;
      part.textContent = text;
      element.append(part);
    };
    part('at', topic === 'gap' ? '' : seconds(log.at[entry]));
    part('sign', SIGNS[topic] ?? '');
    part('words', (log.conn[entry] ? `${log.conn[entry]}: ` : '') + log.text[entry]);
    element.onclick = () => { select(entry); timelineFollows(); };
    return element;
  }
  const sentence = (entry) => `${seconds(log.at[entry])} seconds, ${log.topic[entry]}, ` +
    (log.conn[entry] ? `connection ${log.conn[entry]}, ` : '') + log.text[entry];

  function select(entry, words) {
    selected = entry;
    const conn = log.conn[entry] ? `, connection ${log.conn[entry]}` : '';
    by('detail').textContent = `${seconds(log.at[entry])} s, ${log.topic[entry]}${conn}\n${log.text[entry]}` +
      (words ? `\n\n${words}` : '');
    const top = rank(entry) * ROW;
    if (top < list.scrollTop || top > list.scrollTop + list.clientHeight - ROW) {
      list.scrollTop = top - list.clientHeight / 3;
    }
    fill();
    draw();
  }
  function timelineFollows() {
    const at = log.at[selected];
    const length = view.to - view.from;
    if (at < view.from + length * 0.02 || at > view.to - length * 0.02) show(at - length / 2, at + length / 2);
  }
  function listFollows() {
    if (selected !== null && log.at[selected] >= view.from && log.at[selected] <= view.to) return;
    list.scrollTop = rank(entryAt(view.from)) * ROW;
    fill();
  }
  function step(by) {
    if (!shown.length) return;
    const from = selected === null ? -1 : rank(selected);
    select(shown[Math.min(Math.max(from + by, 0), shown.length - 1)]);
    timelineFollows();
  }
  function trouble(direction) {
    let index = selected === null ? (direction > 0 ? -1 : shown.length) : rank(selected);
    for (index += direction; index >= 0 && index < shown.length; index += direction) {
      if (!isTrouble(shown[index])) continue;
      select(shown[index]);
      return timelineFollows();
    }
  }

  // ---- Hands ----------------------------------------------------------------------------------

  const tip = by('tip');
  function hit(event) {
    const box = canvas.getBoundingClientRect();
    const px = event.clientX - box.left;
    const py = event.clientY - box.top;
    const lane = lanes.find((lane) => py >= lane.y && py < lane.y + LABEL + lane.tall);
    const reach = ((view.to - view.from) / width) * 3;
    return { px, py, found: lane?.hit(timeAt(px), reach, py - lane.y - LABEL, lane.tall) };
  }
  let drag = null;
  canvas.onpointerdown = (event) => {
    drag = { x: event.clientX, from: view.from, to: view.to, moved: false };
    canvas.setPointerCapture(event.pointerId);
  };
  canvas.onpointermove = (event) => {
    if (drag) {
      const by = ((drag.x - event.clientX) / width) * (drag.to - drag.from);
      drag.moved ||= Math.abs(drag.x - event.clientX) > 3;
      if (drag.moved) { canvas.classList.add('drags'); show(drag.from + by, drag.to + by); }
      return;
    }
    const { px, py, found } = hit(event);
    tip.hidden = !found;
    if (!found) return;
    tip.textContent = found.words;
    tip.style.left = `${Math.min(px + 14, Math.max(width - 430, 0))}px`;
    tip.style.top = `${Math.min(py + 14, Math.max(height - tip.offsetHeight - 6, 0))}px`;
  };
  canvas.onpointerup = (event) => {
    canvas.classList.remove('drags');
    const moved = drag?.moved;
    drag = null;
    if (moved) return listFollows();
    const { found } = hit(event);
    if (found) select(found.entry, found.words);
  };
  canvas.onpointerleave = () => { tip.hidden = true; };
  canvas.onwheel = (event) => {
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan(event.deltaX / width);
    else zoom(Math.exp(event.deltaY * 0.0016), event.clientX - box.left);
  };
  const KEYS = {
    '+': () => zoom(0.5), '=': () => zoom(0.5), '-': () => zoom(2), 0: showAll,
    n: () => trouble(1), p: () => trouble(-1), '/': () => search.focus(),
  };
  const ARROWS = { ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2) };
  const STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20, Home: -Infinity, End: Infinity };
  document.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.activeElement === search) {
      if (event.key === 'Escape') { search.value = ''; filter(); list.focus(); }
      if (event.key === 'Enter') { event.preventDefault(); list.focus(); step(1); }
      return;
    }
    const inList = document.activeElement === list;
    let act = KEYS[event.key] ?? (inList ? null : ARROWS[event.key]);
    if (STEPS[event.key] && document.activeElement !== canvas) act = () => step(STEPS[event.key]);
    if (!act) return;
    event.preventDefault();
    act();
  };
  let timer = null;
  search.oninput = () => { clearTimeout(timer); timer = setTimeout(filter, 80); };
  by('tools').onsubmit = (event) => event.preventDefault();
  list.onscroll = () => fill();
  by('zoom-in').onclick = () => zoom(0.5);
  by('zoom-out').onclick = () => zoom(2);
  by('fit').onclick = showAll;
  const isDark = () => (document.documentElement.dataset.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';
  by('theme').onclick = () => {
    document.documentElement.dataset.theme = isDark() ? 'light' : 'dark';
    readColors();
    draw();
  };
  matchMedia('(prefers-color-scheme: dark)').onchange = () => { readColors(); draw(); };
  for (const topic of Object.keys(SIGNS)) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = `${SIGNS[topic]} ${topic}`;
    button.setAttribute('aria-pressed', 'true');
    button.onclick = () => {
      const isShown = hidden.delete(topic) || (hidden.add(topic), false);
      button.setAttribute('aria-pressed', isShown);
      filter();
    };
    by('topics').append(button);
  }

  // ---- Begin ----------------------------------------------------------------------------------

  function measure() {
    const box = canvas.getBoundingClientRect();
    [width, height] = [box.width, box.height];
    canvas.width = Math.round(width * devicePixelRatio);
    canvas.height = Math.round(height * devicePixelRatio);
    paint.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    draw();
    fill();
  }
  const bad = story.conns.filter((conn) => conn.to !== null && conn.cause !== 'requested').length;
  const facts = [span(story.end), plural(story.conns.length, 'connection') + (bad ? `, ${bad} ended badly` : ''),
    `${plural(story.sent.length, 'message')} out`, `${story.received.length.toLocaleString('en')} in`];
  by('facts').textContent = facts.join(' · ');
  by('title').textContent = story.name;
  document.title = `hermes: ${story.name}`;
  by('redacted').hidden = !story.redacted;
  canvas.setAttribute('aria-label', `Timeline of ${facts.join(', ')}. The list has the same as text.`);
  readColors();
  filter();
  new ResizeObserver(measure).observe(canvas);
  measure();
  showAll();
  by('detail').textContent = 'Select an entry, here or on the timeline.';
})();
