"use strict";
(() => {
  const graph = JSON.parse(document.getElementById("graph-data").textContent);
  const space = "http://www.w3.org/2000/svg";
  const picture = document.getElementById("picture"), tip = document.getElementById("tip");
  const details = document.getElementById("details"), moment = document.getElementById("moment");
  const slider = document.getElementById("time"), span = document.getElementById("span"), play = document.getElementById("play");
  const wide = 1000, high = 640, bins = graph.bins;
  let chosen = 0, view = { x: 0, y: 0, scale: 1 }, timer = null;

  const make = (name, attributes, parent) => {
    const element = document.createElementNS(space, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (parent) parent.appendChild(element);
    return element;
  };
  const text = (tag, words, parent, kind) => {
    const element = document.createElement(tag);
    element.textContent = words;
    if (kind) element.className = kind;
    parent.appendChild(element);
    return element;
  };
  const many = (count) => count.toLocaleString("en");
  const size = (bytes) => {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let place = 0;
    while (bytes >= 999.5 && place < units.length - 1) { bytes /= 1000; place += 1; }
    return `${Number(bytes.toPrecision(3))} ${units[place]}`;
  };
  const counted = (pairs) => pairs.map(([name, count]) => `${name} (${many(count)})`).join(", ");

  const layer = make("g", {}, picture);
  const at = (host) => [wide / 2 + host.x * (wide / 2 - 90), high / 2 + host.y * (high / 2 - 50)];
  const ties = graph.exchanges.map((one) => {
    const [x1, y1] = at(graph.hosts[one.source]), [x2, y2] = at(graph.hosts[one.target]);
    const bend = 0.08, mx = (x1 + x2) / 2 - (y2 - y1) * bend, my = (y1 + y2) / 2 + (x2 - x1) * bend;
    const shape = one.source === one.target
      ? `M${x1} ${y1}c-30 -45 30 -45 0 0` : `M${x1} ${y1}Q${mx} ${my} ${x2} ${y2}`;
    const path = make("path", { class: "tie", d: shape }, layer);
    path.addEventListener("pointermove", (event) => show(event, tieWords(one)));
    path.addEventListener("pointerleave", hide);
    return path;
  });
  const hosts = graph.hosts.map((host, number) => {
    const [x, y] = at(host);
    const group = make("g", { class: `host hop-${Math.min(host.hops, 2)}${host.marked ? " marked" : ""}`, tabindex: 0 }, layer);
    const radius = 5 + 2.2 * Math.log10(1 + host.flows);
    make("circle", { cx: x, cy: y, r: radius }, group);
    const label = make("text", { x: x + radius + 3, y: y + 4 }, group);
    label.textContent = host.name;
    group.addEventListener("pointermove", (event) => show(event, hostWords(host)));
    group.addEventListener("pointerleave", hide);
    group.addEventListener("click", () => choose(number));
    group.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(number); });
    return { group, label };
  });

  const hostWords = (host) => [
    host.name, `${many(host.flows)} flows, ${size(host.bytes)}`,
    `${many(host.partners)} partners${host.others ? `, ${many(host.others)} of them not drawn` : ""}`,
    ...(host.labels.length ? [counted(host.labels)] : []), ...(host.said ? [host.said] : []),
  ];
  const tieWords = (one) => [
    `${graph.hosts[one.source].name} → ${graph.hosts[one.target].name}`,
    `${many(one.flows)} flows (${many(one.answered)} answered), ${many(one.packets)} packets, ${size(one.bytes)}`,
    counted(one.services), ...(one.labels.length ? [counted(one.labels)] : []),
  ];
  function show(event, lines) {
    const frame = picture.getBoundingClientRect();
    tip.replaceChildren();
    lines.forEach((line, place) => text(place ? "div" : "b", line, tip));
    tip.style.display = "block";
    tip.style.left = `${Math.min(event.clientX - frame.left + 14, frame.width - 260)}px`;
    tip.style.top = `${event.clientY - frame.top + 14}px`;
  }
  function hide() { tip.style.display = "none"; }

  function range() {
    const width = Number(span.value);
    if (width >= bins) return [0, bins];
    const first = Math.min(Number(slider.value), bins - width);
    return [first, first + width];
  }
  function seen(one) {
    const [first, last] = range();
    return one.over_time.slice(first, last).reduce((sum, count) => sum + count, 0);
  }
  function draw() {
    const active = new Set([chosen]);
    graph.exchanges.forEach((one, number) => {
      const count = seen(one), lit = one.source === chosen || one.target === chosen;
      ties[number].style.display = count ? "" : "none";
      ties[number].setAttribute("stroke-width", 0.8 + 1.6 * Math.log10(1 + count));
      ties[number].classList.toggle("lit", lit);
      if (count) { active.add(one.source); active.add(one.target); }
    });
    hosts.forEach((host, number) => {
      host.group.classList.toggle("faded", !active.has(number));
      host.group.classList.toggle("lit", number === chosen);
    });
    const [first, last] = range();
    moment.textContent = first === 0 && last === bins
      ? "the whole time" : `${graph.moments[first]} to ${graph.moments[last]}`;
    bars.forEach((bar, place) => bar.classList.toggle("lit", place >= first && place < last));
    label();
  }
  function label() {
    const crowded = graph.hosts.length > 24;
    hosts.forEach((host, number) => {
      const near = number === chosen || graph.exchanges.some(
        (one) => (one.source === chosen && one.target === number) || (one.target === chosen && one.source === number));
      const large = graph.hosts[number].flows >= graph.label_from;
      host.label.style.display = !crowded || number === chosen || large || (near && view.scale > 1.4) ? "" : "none";
    });
  }
  function choose(number) {
    chosen = number;
    const host = graph.hosts[number];
    details.replaceChildren();
    text("h2", host.name, details);
    hostWords(host).slice(1).forEach((line) => text("p", line, details, "quiet"));
    const table = document.createElement("table"), head = document.createElement("tr");
    ["with", "flows", "answered", "bytes", "services", "labels"].forEach((word, place) =>
      text("th", word, head, place > 0 && place < 4 ? "number" : ""));
    table.appendChild(head);
    graph.exchanges.filter((one) => one.source === number || one.target === number)
      .sort((one, other) => other.flows - one.flows).slice(0, 40).forEach((one) => {
        const out = one.source === number, other = out ? one.target : one.source;
        const row = document.createElement("tr");
        row.className = "choice";
        text("td", `${out ? "→" : "←"} ${graph.hosts[other].name}`, row);
        [many(one.flows), many(one.answered), size(one.bytes)].forEach((words) => text("td", words, row, "number"));
        text("td", counted(one.services), row);
        text("td", counted(one.labels), row);
        row.addEventListener("click", () => choose(other));
        table.appendChild(row);
      });
    details.appendChild(table);
    draw();
  }

  const strip = document.getElementById("bars");
  const totals = Array.from({ length: bins }, (_, place) =>
    graph.exchanges.reduce((sum, one) => sum + one.over_time[place], 0));
  const most = Math.max(1, ...totals);
  const bars = totals.map((count, place) => {
    const tall = 44 * Math.sqrt(count / most), step = wide / bins;
    const bar = make("rect", { x: place * step, y: 46 - tall, width: step - 1.5, height: tall }, strip);
    make("title", {}, bar).textContent = `${graph.moments[place]}: ${many(count)} flows`;
    return bar;
  });

  const move = () => layer.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.scale})`);
  picture.addEventListener("wheel", (event) => {
    event.preventDefault();
    const frame = picture.getBoundingClientRect(), unit = wide / frame.width;
    const x = (event.clientX - frame.left) * unit, y = (event.clientY - frame.top) * (high / frame.height);
    const scale = Math.min(8, Math.max(0.4, view.scale * Math.exp(-event.deltaY / 500)));
    view = { x: x - (x - view.x) * scale / view.scale, y: y - (y - view.y) * scale / view.scale, scale };
    move();
    label();
  }, { passive: false });
  let held = null;
  picture.addEventListener("pointerdown", (event) => { held = [event.clientX - view.x, event.clientY - view.y]; });
  window.addEventListener("pointermove", (event) => {
    if (!held) return;
    picture.classList.add("dragging");
    view.x = event.clientX - held[0];
    view.y = event.clientY - held[1];
    move();
  });
  window.addEventListener("pointerup", () => { held = null; picture.classList.remove("dragging"); });
  const stop = () => { clearInterval(timer); timer = null; play.textContent = "play"; };
  play.addEventListener("click", () => {
    if (timer) { stop(); return; }
    if (Number(span.value) >= bins) span.value = String(Math.max(1, bins / 10));
    play.textContent = "stop";
    timer = setInterval(() => {
      slider.value = String((Number(slider.value) + 1) % (bins - Number(span.value) + 1));
      draw();
    }, 250);
  });
  [slider, span].forEach((element) => element.addEventListener("input", draw));
  document.getElementById("whole").addEventListener("click", () => {
    stop();
    span.value = String(bins);
    view = { x: 0, y: 0, scale: 1 };
    move();
    draw();
  });
  choose(0);
})();
