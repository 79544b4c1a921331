"use strict";
// Tables of runs: sorted by a click on a heading, filtered by words; a row points out its line in parallel coordinates.
const compare = () => {
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const key = (cell) => {
      const text = cell?.dataset.value ?? cell?.textContent.trim() ?? "";
      const number = Number(text);
      return text !== "" && !Number.isNaN(number) ? number : text;
    };
    const order = (a, b) => {
      const [empty, other] = [a === "" || a === "\u2013", b === "" || b === "\u2013"];
      if (empty || other) return empty - other;
      if (typeof a === "number" && typeof b === "number") return a - b;
      return String(a).localeCompare(String(b), undefined, { numeric: true });
    };
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const down = heading.getAttribute("aria-sort") === "ascending";
        [...table.tHead.rows[0].cells].forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].sort((a, b) => order(key(a.cells[column]), key(b.cells[column])));
        body.append(...(down ? rows.reverse() : rows));
      });
    });
    const filter = document.createElement("input");
    Object.assign(filter, { type: "search", placeholder: "Filter, for example: gdas seed=1" });
    filter.setAttribute("aria-label", "Filter the runs");
    const headings = [...table.tHead.rows[0].cells].map((heading) => heading.textContent.trim().toLowerCase());
    const matches = (row, word) => {
      const [name, value] = word.split("=");
      const column = headings.indexOf(name);
      if (value !== undefined && column >= 0) return row.cells[column].textContent.trim().toLowerCase() === value;
      return row.textContent.toLowerCase().includes(word);
    };
    filter.addEventListener("input", () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of body.rows) row.hidden = !words.every((word) => matches(row, word));
    });
    (table.closest(".scroll") ?? table).before(filter);
  }
  for (const drawing of document.querySelectorAll("svg.parallel")) {
    const lines = [...drawing.querySelectorAll(".run")];
    const choose = (index) => {
      drawing.classList.toggle("chosen", index !== undefined);
      lines.forEach((line) => line.classList.toggle("on", line.dataset.index === index));
    };
    lines.forEach((line) => line.addEventListener("pointerenter", () => choose(line.dataset.index)));
    drawing.addEventListener("pointerleave", () => choose(undefined));
    for (const row of document.querySelectorAll("tr[data-index]")) {
      row.addEventListener("pointerenter", () => choose(row.dataset.index));
      row.addEventListener("pointerleave", () => choose(undefined));
      row.addEventListener("focusin", () => choose(row.dataset.index));
      row.addEventListener("focusout", () => choose(undefined));
    }
  }
};
compare();
