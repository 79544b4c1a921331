"use strict";
// Alpha's heat maps and reliability diagrams: values under the pointer and by arrow keys, and a chart of one edge on demand.
// The cell of any epoch: a slider. All need the numbers that stand beside the drawings.
const explore = (() => {
  // Where a slider was left, by its place on the page, so that a page that renews itself does not move it.
  const left = new Map();
  const percent = (value) => `${(value / 100).toFixed(1)} %`;

  function heat(figure) {
    const data = JSON.parse(figure.querySelector("script.data").textContent);
    const svg = figure.querySelector("svg");
    const said = document.createElement("p");
    said.className = "values";
    said.setAttribute("aria-live", "polite");
    said.textContent = "Point at a field, or use the arrow keys, for its numbers; click or press Enter for a chart of the edge.";
    const mark = document.createElementNS(svg.namespaceURI, "rect");
    mark.setAttribute("class", "mark");
    mark.setAttribute("visibility", "hidden");
    svg.append(mark);
    svg.tabIndex = 0;
    svg.after(said);
    const [columns, rows] = [data.epochs.length, data.edges.length];
    const width = (data.right - data.left) / columns;
    let at = null;
    const show = (column, row) => {
      at = [Math.min(Math.max(column, 0), columns - 1), Math.min(Math.max(row, 0), rows - 1)];
      const values = data.values[at[0]][at[1]];
      const words = data.operations.map((name, k) => [values[k] ?? 0, name]).sort((a, b) => b[0] - a[0]);
      said.textContent = `Epoch ${data.epochs[at[0]]}, ${data.edges[at[1]]}: ${words.map(([p, name]) => `${name} ${percent(p)}`).join(", ")}`;
      const box = { x: data.left + at[0] * width, y: data.top + at[1] * data.row, width: Math.max(width, 2), height: data.row };
      for (const [name, value] of Object.entries(box)) mark.setAttribute(name, value);
      mark.setAttribute("visibility", "visible");
    };
    const place = (event) => {
      const frame = svg.getBoundingClientRect();
      const scale = data.width / frame.width;
      const column = Math.floor(((event.clientX - frame.left) * scale - data.left) / width);
      const row = Math.floor(((event.clientY - frame.top) * scale - data.top) / data.row);
      return column >= 0 && column < columns && row >= 0 && row < rows ? [column, row] : null;
    };
    svg.addEventListener("pointermove", (event) => { const found = place(event); if (found) show(...found); });
    svg.addEventListener("click", (event) => { const found = place(event); if (found) edge(figure, data, found[1]); });
    const moves = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1], PageDown: [10, 0], PageUp: [-10, 0] };
    svg.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && at) return edge(figure, data, at[1]);
      const move = event.key === "Home" ? [-columns, 0] : event.key === "End" ? [columns, 0] : moves[event.key];
      if (!move) return;
      event.preventDefault();
      at ? show(at[0] + move[0], at[1] + move[1]) : show(columns - 1, 0);
    });
  }

  // Reliability diagrams: what each bin says.
  function bins(figure) {
    const data = JSON.parse(figure.querySelector("script.data").textContent);
    const svg = figure.querySelector("svg");
    const said = document.createElement("p");
    said.className = "values";
    said.setAttribute("aria-live", "polite");
    said.textContent = "Point at a bar, or use the arrow keys, for its numbers.";
    const mark = document.createElementNS(svg.namespaceURI, "rect");
    mark.setAttribute("class", "mark");
    mark.setAttribute("visibility", "hidden");
    svg.append(mark);
    svg.tabIndex = 0;
    svg.after(said);
    const count = data.says.length;
    const width = (data.right - data.left) / count;
    let at = null;
    const show = (bin) => {
      at = Math.min(Math.max(bin, 0), count - 1);
      said.textContent = data.says[at];
      const box = { x: data.left + at * width, y: data.top, width, height: data.bottom - data.top };
      for (const [name, value] of Object.entries(box)) mark.setAttribute(name, value);
      mark.setAttribute("visibility", "visible");
    };
    svg.addEventListener("pointermove", (event) => {
      const frame = svg.getBoundingClientRect();
      const bin = Math.floor(((event.clientX - frame.left) * data.width / frame.width - data.left) / width);
      if (bin >= 0 && bin < count) show(bin);
    });
    svg.addEventListener("keydown", (event) => {
      const to = { ArrowRight: at === null ? 0 : at + 1, ArrowLeft: at === null ? count - 1 : at - 1, Home: 0, End: count - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      show(to);
    });
  }

  // A line chart of one edge's probabilities, below the map.
  function edge(figure, data, row) {
    figure.parentElement.querySelector(`figure[data-of="${CSS.escape(figure.dataset.name)}"]`)?.remove();
    const series = data.operations.map((name, k) => ({ name, x: data.epochs, y: data.values.map((epoch) => (epoch[row]?.[k] ?? 0) / 1e4) }));
    const numbers = { title: `${data.title}: ${data.edges[row]}`, x: "epoch", unit: "percent", low: 0, high: null, series };
    const chart = document.createElement("figure");
    chart.className = "chart";
    chart.dataset.of = figure.dataset.name;
    chart.dataset.name = `${figure.dataset.name}-edge-${row}`;
    const script = document.createElement("script");
    script.type = "application/json";
    script.className = "data";
    script.textContent = JSON.stringify(numbers);
    chart.append(script);
    figure.after(chart);
    charts.draw(chart);
  }

  async function cells(figure, place) {
    const data = JSON.parse(await unpack(figure.querySelector("script.data").textContent));
    const slider = document.createElement("input");
    const last = data.epochs.length - 1;
    Object.assign(slider, { type: "range", min: 0, max: last, value: Math.min(left.get(place) ?? last, last) });
    const words = document.createElement("output");
    const label = document.createElement("label");
    label.append("Epoch ", slider, " ", words);
    const pictures = document.createElement("div");
    pictures.className = "pictures";
    pictures.tabIndex = 0;
    const text = document.createElement("code");
    figure.prepend(label, pictures, text);
    const show = () => {
      const [epoch, cell] = data.epochs[slider.value];
      words.textContent = epoch;
      slider.setAttribute("aria-valuetext", `epoch ${epoch}: ${data.cells[cell].text}`);
      // The drawings are those of this page's own program.
      pictures.innerHTML = data.cells[cell].svg;
      text.textContent = data.cells[cell].text;
    };
    slider.addEventListener("input", () => {
      Number(slider.value) === last ? left.delete(place) : left.set(place, Number(slider.value));
      show();
    });
    show();
  }

  function start() {
    document.querySelectorAll("figure.heatmap").forEach(heat);
    document.querySelectorAll("figure.bins").forEach(bins);
    document.querySelectorAll("figure.cells").forEach((figure, place) => cells(figure, place));
  }
  return { start };
})();
