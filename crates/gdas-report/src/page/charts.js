"use strict";
// Interactive charts. Each figure has a drawing (SVG), which is what is printed, saved and shown without script, and
// its numbers (`script.data`, JSON once it is unpacked); uPlot (MIT licence, https://github.com/leeoniya/uPlot) draws these instead.
// Pointer and arrow keys show values, dragging zooms, the bar above the charts smooths them and sets the axes.
const charts = (() => {
  const settings = { smooth: 0, log: false, clip: true };
  let drawn = [];

  const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;
  const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const dashes = JSON.parse(document.body.dataset.dashes ?? "[[]]");
  const palette = () => JSON.parse((dark() ? document.body.dataset.dark : document.body.dataset.light) ?? "[]");

  // As few digits as tell neighbouring values apart: at most five significant ones.
  function text(value, unit) {
    if (value == null) return "\u2013";
    const shown = unit === "percent" ? 100 * value : value;
    const size = Math.abs(shown);
    const digits = size !== 0 && (size >= 1e6 || size < 1e-4) ? shown.toExponential(3) : String(Number(shown.toPrecision(5)));
    return unit === "percent" ? `${digits} %` : digits;
  }

  // Exponential moving average, corrected for its start as in Adam; gaps stay gaps.
  function smoothed(values, weight) {
    let sum = 0, total = 0;
    return values.map((value) => {
      if (value == null) return value;
      sum = weight * sum + (1 - weight) * value;
      total = weight * total + (1 - weight);
      return sum / total;
    });
  }

  // The range of the values, or, if a few of them lie far outside of all others, the range of the others.
  function range(values, clip) {
    const sorted = values.filter((value) => value != null).sort((a, b) => a - b);
    if (sorted.length === 0) return [0, 1];
    const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
    let [low, high] = [sorted[0], sorted[sorted.length - 1]];
    if (clip && sorted.length >= 8) {
      const [a, b] = [at(0.05), at(0.95)];
      const reach = 1.5 * (b - a);
      if (b > a && high > b + reach) high = b + reach / 3;
      if (b > a && low < a - reach) low = a - reach / 3;
    }
    return [low, high];
  }

  function axisRange(data, series, log, plot, low, high) {
    if (low == null || high == null) return [0, 1];
    if (log) {
      const positive = series.flat().filter((value) => value > 0);
      const ends = positive.length > 0 ? [Math.min(...positive), Math.max(...positive)] : [1, 10];
      return uPlot.rangeLog(ends[0], ends[1], 10, false);
    }
    const [start, end] = [plot.scales.x.min ?? -Infinity, plot.scales.x.max ?? Infinity];
    const seen = series.flatMap((values) => values.filter((_, i) => plot.data[0][i] >= start && plot.data[0][i] <= end));
    const [from, to] = range(seen, settings.clip);
    const room = to > from ? 0.05 * (to - from) : Math.abs(to) / 2 || 1;
    return [data.low ?? from - room, data.high ?? to + room];
  }

  function draw(figure) {
    const data = JSON.parse(figure.querySelector("script.data").textContent);
    const tables = data.series.map((series) => [series.x, series.y]);
    const joined = uPlot.join(tables);
    const log = Boolean(settings.log && data.log);
    const raw = joined.slice(1);
    const smooth = settings.smooth > 0 ? raw.map((values) => smoothed(values, settings.smooth)) : null;
    const colours = palette();
    const host = document.createElement("div");
    host.className = "plot";
    host.tabIndex = 0;
    host.setAttribute("role", "application");
    host.setAttribute("aria-label", `${data.title}. Arrow keys show values, plus and minus zoom, Escape shows all.`);
    const line = (series, i, faint) => {
      const stroke = colours[i % colours.length] ?? "currentColor";
      return {
        label: series.name || "value",
        stroke: faint ? `${stroke}55` : stroke,
        width: faint ? 1 : 1.8,
        dash: dashes[i % dashes.length],
        spanGaps: true,
        points: data.scattered ? { show: true, size: 5, fill: stroke } : { show: faint ? false : undefined, size: 4 },
        paths: data.scattered ? () => null : undefined,
        value: (_, value) => text(value, data.unit),
      };
    };
    const series = [{ label: data.x, value: (_, value) => (value == null ? "\u2013" : String(value)) }];
    data.series.forEach((one, i) => series.push(line(one, i, false)));
    const values = [joined[0], ...(smooth ?? raw)];
    if (smooth) {
      data.series.forEach((one, i) => series.push({ ...line(one, i, true), label: `${one.name || "value"} (as measured)` }));
      values.push(...raw);
    }
    const ink = colour("--faint"), grid = colour("--line");
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const axis = { stroke: ink, font, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
    const options = {
      width: Math.max(figure.clientWidth, 200),
      height: 240,
      cursor: { drag: { x: true, y: false, setScale: true }, sync: data.group ? { key: data.group } : undefined, points: { size: 6 } },
      legend: { live: true },
      scales: {
        x: { time: false },
        y: { distr: log ? 3 : 1, range: (plot, low, high) => axisRange(data, raw, log, plot, low, high) },
      },
      axes: [
        { ...axis, label: data.x, labelSize: 18, labelFont: font, size: 34, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6] },
        { ...axis, size: 56, values: (_, ticks) => ticks.map((tick) => (tick == null ? "" : text(tick, data.unit))) },
      ],
      series,
    };
    const said = document.createElement("p");
    said.className = "said";
    said.setAttribute("aria-live", "polite");
    const heading = document.createElement("figcaption");
    heading.textContent = data.title;
    figure.prepend(heading, host, said);
    const plot = new uPlot(options, values, host);
    keys(host, plot, said, data);
    figure.classList.add("drawn");
    drawn.push({ figure, plot, added: [heading, host, said] });
  }

  function keys(host, plot, said, data) {
    const last = plot.data[0].length - 1;
    let index = null;
    const show = (to) => {
      index = Math.min(Math.max(to, 0), last);
      const x = plot.data[0][index];
      const lead = plot.data.slice(1).find((values) => values[index] != null);
      const top = lead ? Math.min(Math.max(plot.valToPos(lead[index], "y"), 0), plot.bbox.height / devicePixelRatio) : 10;
      plot.setCursor({ left: plot.valToPos(x, "x"), top }, true, true);
      // A series without a value here (a network is not tested after every epoch) says its last one.
      const latest = (values) => values.slice(0, index + 1).findLast((value) => value != null);
      const values = data.series.map((series, i) => `${series.name || data.title} ${text(latest(plot.data[i + 1]), data.unit)}`);
      said.textContent = `${data.x} ${x}: ${values.join(", ")}`;
    };
    const zoom = (factor) => {
      const { min, max } = plot.scales.x;
      const middle = index == null ? (min + max) / 2 : plot.data[0][index];
      const half = ((max - min) / 2) * factor;
      plot.setScale("x", { min: Math.max(middle - half, plot.data[0][0]), max: Math.min(middle + half, plot.data[0][last]) });
    };
    const actions = {
      ArrowRight: () => show(index == null ? 0 : index + 1),
      ArrowLeft: () => show(index == null ? last : index - 1),
      PageUp: () => show((index ?? 0) + 10),
      PageDown: () => show((index ?? last) - 10),
      Home: () => show(0),
      End: () => show(last),
      "+": () => zoom(0.5),
      "-": () => zoom(2),
      Escape: () => plot.setScale("x", { min: plot.data[0][0], max: plot.data[0][last] }),
    };
    host.addEventListener("keydown", (event) => {
      const action = actions[event.key];
      if (!action || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      action();
    });
  }

  function drawAll() {
    for (const { figure, plot, added } of drawn) {
      plot.destroy();
      added.forEach((element) => element.remove());
      figure.classList.remove("drawn");
    }
    drawn = [];
    visible.disconnect();
    document.querySelectorAll("figure.chart").forEach((figure) => visible.observe(figure));
  }

  // A chart is drawn when it comes near the window: a page may hold hundreds.
  const visible = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((entry) => entry.isIntersecting)) {
      visible.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "400px" });

  // The bar that smooths all charts of the page and sets their axes.
  function bar(section) {
    const place = document.createElement("div");
    place.className = "bar";
    const slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: 0, max: 0.98, step: 0.02, value: settings.smooth });
    const label = document.createElement("label");
    const shown = document.createElement("output");
    const set = () => { shown.textContent = settings.smooth ? settings.smooth.toFixed(2) : "off"; };
    set();
    label.append("Smoothing ", slider, " ", shown);
    slider.addEventListener("input", () => { settings.smooth = Number(slider.value); set(); drawAll(); });
    place.append(label);
    for (const [key, words] of [["log", "Logarithmic loss"], ["clip", "Ignore single spikes in the range"]]) {
      const box = document.createElement("input");
      Object.assign(box, { type: "checkbox", checked: settings[key] });
      box.addEventListener("change", () => { settings[key] = box.checked; drawAll(); });
      const label = document.createElement("label");
      label.append(box, ` ${words}`);
      place.append(label);
    }
    const help = document.createElement("span");
    help.textContent = "Drag to zoom, double-click for everything.";
    place.append(help);
    section.before(place);
  }

  function start() {
    const first = document.querySelector(".charts figure.chart");
    if (first && !document.querySelector(".bar")) bar(first.closest(".charts"));
    drawAll();
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => drawn.forEach(({ figure, plot }) => plot.setSize({ width: Math.max(figure.clientWidth, 200), height: plot.height })), 150);
  });
  return { start, draw };
})();
