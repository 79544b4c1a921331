
// An image that is dropped or chosen is sent to the run's network; its answer becomes a table.
function classifier(node) {
  return node instanceof Element ? node.closest("[data-classify]") : null;
}
async function classify(place, file) {
  const [said, rows] = [place.querySelector("[role=status]"), place.querySelector("tbody")];
  rows.replaceChildren();
  said.textContent = `${file.name} …`;
  try {
    const answer = await fetch(`${location.pathname}/predict`, { method: "POST", body: file });
    if (!answer.ok) {
      said.textContent = `${file.name}: ${(await answer.text()).trim()}`;
      return;
    }
    const { classes, note } = await answer.json();
    said.textContent = note ? `${file.name}; ${note}` : file.name;
    for (const { class: name, probability } of classes.slice(0, 10)) {
      const row = rows.insertRow();
      row.insertCell().textContent = name;
      const bar = document.createElement("progress");
      bar.value = probability;
      bar.setAttribute("aria-label", `probability of ${name}`);
      row.insertCell().append(bar);
      row.insertCell().textContent = `${(100 * probability).toFixed(2)} %`;
    }
    if (classes.length > 10) said.textContent += `; the first 10 of ${classes.length} classes`;
  } catch {
    said.textContent = `${file.name}: the server does not answer`;
  }
}
for (const kind of ["dragover", "drop"]) {
  document.addEventListener(kind, (event) => {
    const place = classifier(event.target);
    if (!place) return;
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (kind === "drop" && file) classify(place, file);
  });
}
document.addEventListener("change", (event) => {
  const place = classifier(event.target);
  const file = event.target.files?.[0];
  if (place && file) classify(place, file);
});
