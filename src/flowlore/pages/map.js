// The map of flows: draws places on a canvas, and lets people look into them. Names come from strangers: text only.
(() => {
  "use strict";
  const given = JSON.parse(document.getElementById("map-data").textContent);
  const OTHERS = given.palette.length, NONE = OTHERS + 1;
  const ROWS_LISTED = 200, LABELS_AT_MOST = 20, CELLS = 192;
  const count = given.count;
  const find = (id) => document.getElementById(id);
  const canvas = find("map-canvas"), tip = find("map-tip"), said = find("map-said"), legend = find("map-legend");
  const figure = find("map-figure"), context = canvas.getContext("2d");

  const columns = Object.fromEntries(Object.entries(given.columns).map(([name, one]) => [name, decoded(one)]));
  const { x, y } = columns;
  const colourings = given.colourings.map((one) => ({ ...one, codes: decoded(one.codes) }));

  // What is shown now.
  let colouring = colourings[0], off = new Set(), order = [], labels = [];
  let found = null, chosen = null, wanted = "", isLassoing = false, lasso = null, hovered = -1;
  let width = 1, height = 1, scale = 1, middleX = 0, middleY = 0, scaleOfAll = 1;
  const toScreen = (place) => [(x[place] - middleX) * scale + width / 2, (y[place] - middleY) * scale + height / 2];
  const isShown = (place) => !off.has(colouring.codes[place]);

  // Words.
  const text = (name, place) => (given.texts[name] ? given.texts[name][columns[name][place]] : "") || "";
  const number = (name, place) => (columns[name] ? columns[name][place] : NaN);
  function endWords(side, place) {
    const name = text(side, place), port = number(`${side}_port`, place);
    if (Number.isNaN(port)) return name || "?";
    return `${name.includes(":") ? `[${name}]` : name || "?"}:${port}`;
  }
  const whatWords = (place) => [text("application", place), text("server", place)].filter(Boolean).join(" · ");
  function answerWords(place) {
    const sure = number("confidence", place), answer = text("predicted", place);
    return answer && !Number.isNaN(sure) ? `${answer} (${Math.round(100 * sure)} %)` : answer;
  }
  function idWords(place) {
    let words = "";
    for (let octet = 0; octet < 16; octet++) words += columns.flow_id[16 * place + octet].toString(16).padStart(2, "0");
    return /^0+$/.test(words) ? "" : words;
  }
  const packetsWords = (place) => ["packets_fwd", "packets_rev"]
    .map((name) => (Number.isNaN(number(name, place)) ? "?" : grouped(number(name, place)))).join(" / ");
  const amountWords = (place) => ["bytes_fwd", "bytes_rev"].map((name) => bytesWords(number(name, place))).join(" / ");
  const groupWords = (code) => code === NONE ? "no value" : code === OTHERS ? `${colouring.others} others` : colouring.names[code];

  // A grid over the places, so that what lies under the pointer is found at once.
  let left = Infinity, right = -Infinity, top = Infinity, bottom = -Infinity;
  for (let place = 0; place < count; place++) {
    left = Math.min(left, x[place]); right = Math.max(right, x[place]);
    top = Math.min(top, y[place]); bottom = Math.max(bottom, y[place]);
  }
  const cellX = (value) => Math.min(CELLS - 1, Math.max(0, Math.floor(((value - left) / (right - left || 1)) * CELLS)));
  const cellY = (value) => Math.min(CELLS - 1, Math.max(0, Math.floor(((value - top) / (bottom - top || 1)) * CELLS)));
  const starts = new Uint32Array(CELLS * CELLS + 1), members = new Uint32Array(count);
  {
    const cells = new Uint32Array(count);
    for (let place = 0; place < count; place++) {
      cells[place] = cellY(y[place]) * CELLS + cellX(x[place]);
      starts[cells[place] + 1]++;
    }
    for (let cell = 0; cell < CELLS * CELLS; cell++) starts[cell + 1] += starts[cell];
    const next = starts.slice();
    for (let place = 0; place < count; place++) members[next[cells[place]]++] = place;
  }
  function near(atX, atY, pixels) {
    const flowX = (atX - width / 2) / scale + middleX, flowY = (atY - height / 2) / scale + middleY;
    const reach = pixels / scale, hits = [];
    for (let row = cellY(flowY - reach); row <= cellY(flowY + reach); row++) {
      for (let cell = row * CELLS + cellX(flowX - reach); cell <= row * CELLS + cellX(flowX + reach); cell++) {
        for (let item = starts[cell]; item < starts[cell + 1]; item++) {
          const place = members[item], distance = Math.hypot(x[place] - flowX, y[place] - flowY);
          if (distance <= reach && isShown(place) && (!found || found[place])) hits.push([distance, place]);
        }
      }
    }
    return hits.sort((one, other) => one[0] - other[0] || one[1] - other[1]).map((hit) => hit[1]);
  }

  // Drawing.
  const colourOf = (code) => code === NONE ? given.none : code === OTHERS ? given.others : given.palette[code % OTHERS];
  // Discs are put into pixels here: many times faster than a canvas draws them where there is no graphics card.
  let image = null, pixels = null;
  function stamp(atX, atY, offsets, [red, green, blue], strength) {
    const wide = image.width, tall = image.height;
    for (let item = 0; item < offsets.length; item++) {
      const [across, down, cover] = offsets[item], column = atX + across, row = atY + down;
      if (column < 0 || row < 0 || column >= wide || row >= tall) continue;
      const spot = row * wide + column, under = pixels[spot], share = (cover * strength) >> 8;
      const r = under & 255, g = (under >> 8) & 255, b = (under >> 16) & 255;
      pixels[spot] = (255 << 24) | ((b + (((blue - b) * share) >> 8)) << 16)
        | ((g + (((green - g) * share) >> 8)) << 8) | (r + (((red - r) * share) >> 8));
    }
  }
  const ownStyle = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  function radiusNow() {
    const start = count > 20000 ? 1.5 : count > 4000 ? 2.1 : count > 800 ? 2.9 : 4;
    return Math.min(8, start * Math.pow(Math.max(scale / scaleOfAll, 0.6), 0.35));
  }
  let isWaiting = false;
  function redraw() {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => { isWaiting = false; draw(); });
  }
  function draw() {
    const ratio = window.devicePixelRatio || 1, radius = radiusNow(), offsets = disc(radius * ratio);
    if (!image || image.width !== canvas.width || image.height !== canvas.height) {
      image = context.createImageData(canvas.width, canvas.height);
      pixels = new Uint32Array(image.data.buffer);
    }
    const [red, green, blue] = parts(ownStyle("--card"));
    pixels.fill((255 << 24) | (blue << 16) | (green << 8) | red);
    const colours = Array.from({ length: NONE + 1 }, (_, code) => parts(colourOf(code)));
    const isLit = (place) => (!found || found[place]) && (!chosen || chosen[place]);
    const all = count > 20000 ? 205 : 230;
    for (const [strength, isWanted] of found || chosen ? [[26, false], [256, true]] : [[all, true]]) {
      for (const place of order) {
        const code = colouring.codes[place];
        if (off.has(code) || ((found || chosen) && isLit(place) !== isWanted)) continue;
        const atX = (x[place] - middleX) * scale + width / 2, atY = (y[place] - middleY) * scale + height / 2;
        if (atX < -9 || atY < -9 || atX > width + 9 || atY > height + 9) continue;
        stamp(Math.round(atX * ratio), Math.round(atY * ratio), offsets, colours[code], code === NONE ? strength >> 1 : strength);
      }
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.putImageData(image, 0, 0);
    if (find("map-names").checked) drawLabels();
    if (lasso) drawLasso();
    if (hovered >= 0) {
      const [atX, atY] = toScreen(hovered);
      context.strokeStyle = ownStyle("--ink");
      context.lineWidth = 2;
      context.beginPath();
      context.arc(atX, atY, radius + 3, 0, 2 * Math.PI);
      context.stroke();
    }
  }
  function drawLabels() {
    const taken = [];
    context.font = "600 12.5px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    for (const [code, flowX, flowY] of labels) {
      if (off.has(code)) continue;
      const words = groupWords(code).length > 30 ? `${groupWords(code).slice(0, 29)}…` : groupWords(code);
      const half = context.measureText(words).width / 2 + 4;
      const atX = (flowX - middleX) * scale + width / 2, atY = (flowY - middleY) * scale + height / 2 - 14;
      if (atX < half || atX > width - half || atY < 8 || atY > height - 8) continue;
      if (taken.some((one) => Math.abs(one[0] - atX) < one[2] + half && Math.abs(one[1] - atY) < 17)) continue;
      taken.push([atX, atY, half]);
      context.strokeStyle = ownStyle("--card");
      context.lineWidth = 4;
      context.strokeText(words, atX, atY);
      context.fillStyle = ownStyle("--ink");
      context.fillText(words, atX, atY);
    }
  }
  function drawLasso() {
    context.strokeStyle = ownStyle("--forward");
    context.fillStyle = ownStyle("--forward");
    context.lineWidth = 1.5;
    context.beginPath();
    lasso.forEach(([atX, atY], place) => (place ? context.lineTo(atX, atY) : context.moveTo(atX, atY)));
    context.closePath();
    context.stroke();
    context.globalAlpha = 0.12;
    context.fill();
    context.globalAlpha = 1;
  }

  // View.
  function resize() {
    const ratio = window.devicePixelRatio || 1, box = figure.getBoundingClientRect();
    const isFirst = width === 1;
    width = Math.max(200, box.width);
    height = Math.max(260, Math.min(760, box.width * 0.66));
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
    const before = scale / scaleOfAll;
    scaleOfAll = 0.92 * Math.min(width / (right - left || 1), height / (bottom - top || 1));
    if (isFirst) showAll(); else { scale = before * scaleOfAll; redraw(); }
  }
  function showAll() {
    scale = scaleOfAll;
    middleX = (left + right) / 2;
    middleY = (top + bottom) / 2;
    redraw();
  }
  function zoom(factor, atX = width / 2, atY = height / 2) {
    const before = scale;
    scale = Math.min(400 * scaleOfAll, Math.max(0.5 * scaleOfAll, scale * factor));
    middleX += (atX - width / 2) * (1 / before - 1 / scale);
    middleY += (atY - height / 2) * (1 / before - 1 / scale);
    redraw();
  }
  function pan(byX, byY) {
    middleX -= byX / scale;
    middleY -= byY / scale;
    redraw();
  }

  // Colours and legend.
  function colourBy(name) {
    colouring = colourings.find((one) => one.name === name) || colourings[0];
    find("map-colour").value = colouring.name;
    off = new Set();
    const rank = (code) => (code === NONE ? -2 : code === OTHERS ? -1 : code);
    const counts = new Uint32Array(NONE + 1);
    for (let place = 0; place < count; place++) counts[colouring.codes[place]]++;
    order = Array.from({ length: count }, (_, place) => place);
    const first = [...counts.keys()].sort((one, other) => rank(one) < 0 || rank(other) < 0
      ? rank(one) - rank(other) : counts[other] - counts[one]);
    const turn = new Uint8Array(NONE + 1);
    first.forEach((code, place) => { turn[code] = place; });
    order.sort((one, other) => turn[colouring.codes[one]] - turn[colouring.codes[other]] || one - other);
    placeLabels();
    writeLegend(counts);
    remember();
    redraw();
  }
  function placeLabels() {
    labels = [];
    const coarse = 24, sums = new Map();
    for (let place = 0; place < count; place++) {
      const code = colouring.codes[place];
      if (code >= OTHERS) continue;
      const key = (code * coarse + Math.floor((cellY(y[place]) * coarse) / CELLS)) * coarse + Math.floor((cellX(x[place]) * coarse) / CELLS);
      const sum = sums.get(key) || [code, 0, 0, 0];
      sum[1]++; sum[2] += x[place]; sum[3] += y[place];
      sums.set(key, sum);
    }
    const best = new Map();
    for (const sum of sums.values()) if (!best.has(sum[0]) || best.get(sum[0])[1] < sum[1]) best.set(sum[0], sum);
    labels = [...best.values()].sort((one, other) => other[1] - one[1]).slice(0, LABELS_AT_MOST)
      .map(([code, flows, sumX, sumY]) => [code, sumX / flows, sumY / flows]);
  }
  function writeLegend(counts) {
    legend.replaceChildren();
    const codes = [...colouring.names.keys(), OTHERS, NONE].filter((code) => counts[code]);
    for (const code of codes) {
      const item = document.createElement("li"), button = document.createElement("button"), only = document.createElement("button");
      const swatch = document.createElement("span"), words = document.createElement("span"), quiet = document.createElement("span");
      swatch.className = "swatch";
      swatch.style.background = colourOf(code);
      words.className = "what";
      words.textContent = words.title = groupWords(code);
      quiet.className = "quiet";
      quiet.textContent = grouped(counts[code]);
      button.type = only.type = "button";
      button.className = "class";
      button.append(swatch, words, quiet);
      button.setAttribute("aria-pressed", String(!off.has(code)));
      button.addEventListener("click", () => {
        if (off.has(code)) off.delete(code); else off.add(code);
        switched();
      });
      only.className = "only";
      only.textContent = "only";
      only.setAttribute("aria-label", `only ${groupWords(code)}`);
      only.addEventListener("click", () => {
        const isAlone = !off.has(code) && off.size === codes.length - 1;
        off = new Set(isAlone ? [] : codes.filter((one) => one !== code));
        switched();
      });
      item.append(button, only);
      item.dataset.code = code;
      legend.append(item);
    }
  }
  function switched() {
    for (const item of legend.children) {
      item.firstChild.setAttribute("aria-pressed", String(!off.has(Number(item.dataset.code))));
    }
    redraw();
  }

  // Search.
  const SEARCHED = ["application", "server", "src", "dst", "label", "predicted", "capture"];
  function search(words) {
    wanted = words.trim().toLowerCase();
    found = null;
    if (wanted) {
      found = new Uint8Array(count);
      for (const name of SEARCHED) {
        if (!given.texts[name]) continue;
        const fits = given.texts[name].map((one) => (one || "").toLowerCase().includes(wanted));
        if (fits.includes(true)) for (let place = 0; place < count; place++) if (fits[columns[name][place]]) found[place] = 1;
      }
      const port = /^:?(\d{1,5})$/.exec(wanted);
      if (port) for (const name of ["src_port", "dst_port"]) {
        if (columns[name]) for (let place = 0; place < count; place++) if (columns[name][place] === Number(port[1])) found[place] = 1;
      }
      if (/^[0-9a-f]{6,32}$/.test(wanted)) for (let place = 0; place < count; place++) if (idWords(place).startsWith(wanted)) found[place] = 1;
    }
    chosen = null;
    if (found) list(inTime([...found.keys()].filter((place) => found[place])), `flows with “${words.trim()}”`); else list([], "");
    remember();
    redraw();
  }

  // The list of flows below the map.
  const HEADINGS = [
    ["start (UTC)", (place) => timeWords(number("start_ms", place))], ["what", whatWords],
    ["from", (place) => endWords("src", place)], ["to", (place) => endWords("dst", place)],
    ["label", (place) => text("label", place)], ["predicted", answerWords],
    ["duration", (place) => secondsWords(number("duration_s", place)), true], ["packets", packetsWords, true],
    ["bytes", amountWords, true], ["flow id", idWords],
  ].filter(([name]) => !["label", "predicted"].includes(name) || given.texts[name]);
  let listed = [];
  function list(places, what) {
    listed = places;
    const head = find("map-listed"), save = find("map-save"), body = find("map-rows");
    body.replaceChildren();
    save.hidden = find("map-table").hidden = !places.length;
    if (!places.length) {
      head.textContent = what ? `no ${what}` : "None yet: click a flow, draw around some, or search.";
      said.textContent = what ? head.textContent : "";
      return;
    }
    const counts = new Map();
    for (const place of places) counts.set(colouring.codes[place], (counts.get(colouring.codes[place]) || 0) + 1);
    const shares = [...counts].sort((one, other) => other[1] - one[1]).slice(0, 6)
      .map(([code, flows]) => `${groupWords(code)} ${grouped(flows)}`).join(", ");
    const more = places.length > ROWS_LISTED ? `; the first ${ROWS_LISTED} are listed` : "";
    head.textContent = `${grouped(places.length)} ${what}${more}. By ${colouring.name}: ${shares}.`;
    said.textContent = head.textContent;
    for (const place of places.slice(0, ROWS_LISTED)) {
      const row = document.createElement("tr");
      for (const [, words, isNumber] of HEADINGS) {
        const cell = document.createElement("td");
        cell.textContent = words(place);
        if (isNumber) cell.className = "number";
        row.append(cell);
      }
      row.addEventListener("pointerenter", () => { hovered = place; redraw(); });
      row.addEventListener("pointerleave", () => { hovered = -1; redraw(); });
      body.append(row);
    }
  }
  function choose(places, what) {
    chosen = null;
    if (places.length) {
      chosen = new Uint8Array(count);
      for (const place of places) chosen[place] = 1;
    }
    list(places, what);
    redraw();
  }
  function clear() {
    find("map-search").value = "";
    chosen = null;
    hovered = -1;
    search("");
  }
  function save() {
    const lines = [HEADINGS.map(([name]) => quoted(name))];
    for (const place of listed) lines.push(HEADINGS.map(([, words]) => quoted(String(words(place)))));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([lines.map((line) => line.join(",")).join("\r\n")], { type: "text/csv" }));
    link.download = "flows.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  const inTime = (places) => places.sort((one, other) => number("start_ms", one) - number("start_ms", other) || one - other);
  const shownPlaces = (belongs) => inTime(order.filter((place) => isShown(place) && (!found || found[place]) && belongs(...toScreen(place))));

  // Hovering.
  function hover(atX, atY) {
    const hits = near(atX, atY, Math.max(7, radiusNow() + 3));
    const before = hovered;
    hovered = hits.length ? hits[0] : -1;
    tip.hidden = hovered < 0;
    if (hovered >= 0) {
      const lines = [
        [whatWords(hovered) || "a flow", "strong"], [`${endWords("src", hovered)} → ${endWords("dst", hovered)}`],
        [`${timeWords(number("start_ms", hovered))}, ${secondsWords(number("duration_s", hovered))}`],
        [`${packetsWords(hovered)} packets, ${amountWords(hovered)}`],
        [text("label", hovered) && `label: ${text("label", hovered)}`],
        [answerWords(hovered) && `predicted: ${answerWords(hovered)}`],
        [!["application", "label", "predicted"].includes(colouring.name) && `${colouring.name}: ${groupWords(colouring.codes[hovered])}`],
        [hits.length > 1 && `${grouped(hits.length - 1)} more flows here`, "quiet"],
      ].filter(([words]) => words);
      tip.replaceChildren(...lines.map(([words, kind]) => {
        const line = document.createElement(kind === "strong" ? "b" : "span");
        if (kind === "quiet") line.className = "quiet";
        line.textContent = words;
        return line;
      }));
      const box = tip.getBoundingClientRect();
      tip.style.left = `${Math.max(4, atX + 16 + box.width > width ? atX - box.width - 12 : atX + 16)}px`;
      tip.style.top = `${Math.max(4, Math.min(atY + 14, height - box.height - 4))}px`;
    }
    if (hovered !== before) redraw();
  }

  // Hands on the canvas.
  const held = new Map();
  let began = null, apart = 0;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    held.set(event.pointerId, at(event));
    began = at(event);
    apart = 0;
    if ((isLassoing || event.shiftKey) && held.size === 1) lasso = [at(event)];
  });
  canvas.addEventListener("pointermove", (event) => {
    const [atX, atY] = at(event), before = held.get(event.pointerId);
    if (!before) return hover(atX, atY);
    if (Math.hypot(atX - began[0], atY - began[1]) > 4) { tip.hidden = true; hovered = -1; }
    held.set(event.pointerId, [atX, atY]);
    if (held.size === 2) {
      lasso = null;
      const [one, other] = [...held.values()], now = Math.hypot(one[0] - other[0], one[1] - other[1]);
      if (apart) zoom(now / apart, (one[0] + other[0]) / 2, (one[1] + other[1]) / 2);
      apart = now;
    } else if (lasso) {
      lasso.push([atX, atY]);
      redraw();
    } else if (held.size === 1) pan(atX - before[0], atY - before[1]);
  });
  function release(event) {
    if (!held.delete(event.pointerId) || held.size) return;
    const [atX, atY] = at(event), isClick = Math.hypot(atX - began[0], atY - began[1]) <= 4;
    const corners = lasso;
    lasso = null;
    if (isClick) choose(near(atX, atY, Math.max(6, radiusNow() + 2)), "flows here");
    else if (corners && corners.length > 2) choose(shownPlaces((oneX, oneY) => inside(oneX, oneY, corners)), "flows inside");
    redraw();
  }
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", (event) => { held.delete(event.pointerId); lasso = null; redraw(); });
  canvas.addEventListener("pointerleave", () => { if (!held.size) { tip.hidden = true; hovered = -1; redraw(); } });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-Math.max(-120, Math.min(120, event.deltaY)) / 300), ...at(event));
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => zoom(2, ...at(event)));
  canvas.addEventListener("keydown", (event) => {
    const keys = {
      ArrowLeft: () => pan(60, 0), ArrowRight: () => pan(-60, 0), ArrowUp: () => pan(0, 60), ArrowDown: () => pan(0, -60),
      "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), 0: showAll, Escape: clear,
      Enter: () => choose(shownPlaces((atX, atY) => atX >= 0 && atY >= 0 && atX <= width && atY <= height), "flows in view"),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });

  // What is looked at stands in the address, so that it can be sent to somebody.
  function remember() {
    const parts = new URLSearchParams({ colour: colouring.name });
    if (wanted) parts.set("search", wanted);
    try { history.replaceState(null, "", `#${parts}`); } catch { /* a page inside another may not */ }
  }

  for (const one of colourings) find("map-colour").append(new Option(one.name, one.name));
  find("map-colour").addEventListener("change", (event) => { colourBy(event.target.value); list(listed, listed.length ? "flows chosen" : ""); });
  find("map-search").addEventListener("input", (event) => search(event.target.value));
  find("map-lasso").addEventListener("click", (event) => {
    isLassoing = !isLassoing;
    event.currentTarget.setAttribute("aria-pressed", String(isLassoing));
    canvas.classList.toggle("lassoing", isLassoing);
  });
  find("map-closer").addEventListener("click", () => zoom(1.5));
  find("map-farther").addEventListener("click", () => zoom(1 / 1.5));
  find("map-all").addEventListener("click", showAll);
  find("map-clear").addEventListener("click", clear);
  find("map-names").addEventListener("change", redraw);
  find("map-every").addEventListener("click", () => { off = new Set(); switched(); });
  find("map-no").addEventListener("click", () => {
    off = new Set([...legend.children].map((item) => Number(item.dataset.code)));
    switched();
  });
  find("map-save").addEventListener("click", save);
  const headings = document.createElement("tr");
  for (const [name, , isNumber] of HEADINGS) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = name;
    if (isNumber) cell.className = "number";
    headings.append(cell);
  }
  find("map-headings").replaceChildren(headings);
  document.documentElement.classList.add("scripted");
  const asked = new URLSearchParams(location.hash.slice(1));
  colourBy(asked.get("colour") || colourings[0].name);
  resize();
  if (asked.get("search")) {
    find("map-search").value = asked.get("search");
    search(asked.get("search"));
  }
  new ResizeObserver(resize).observe(figure);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
})();
