
// The page follows its runs. Figures are put in as they come; when the page itself is of an old revision, it is
// fetched again: what is open stays open, what is being read stays in view.
let renewing = false;
async function renew() {
  if (renewing) return;
  renewing = true;
  try {
    const answer = await fetch(location.pathname);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const open = [...document.querySelectorAll("details")].map((d) => d.open);
    page.querySelectorAll("details").forEach((d, i) => { d.open = open[i] ?? d.open; });
    const said = document.querySelector(".actions output")?.textContent ?? "";
    const classified = document.querySelector("[data-classify]");
    document.querySelector("main").replaceWith(document.adoptNode(page.querySelector("main")));
    if (classified) document.querySelector("[data-classify]")?.replaceWith(classified);
    document.body.dataset.revision = page.body.dataset.revision;
    document.title = page.title;
    const place = document.querySelector(".actions output");
    if (place) place.textContent = said;
    document.querySelectorAll("figure").forEach(addLinks);
    await startFigures();
    compare();
  } finally {
    renewing = false;
  }
}
function put(place, run) {
  for (const field of place.querySelectorAll("[data-field]")) {
    field.textContent = run.fields?.[field.dataset.field] ?? "\u2013";
  }
  const bar = place.querySelector("progress");
  if (bar && run.share !== undefined) bar.value = run.share;
  for (const button of place.querySelectorAll("button")) {
    button.hidden = !run.actions?.includes(button.dataset.action);
  }
}
new EventSource(document.body.dataset.events).addEventListener("standing", async (event) => {
  const news = JSON.parse(event.data);
  if (String(news.revision) !== document.body.dataset.revision) await renew();
  for (const place of document.querySelectorAll("[data-run]")) {
    const run = news.runs ? news.runs[place.dataset.run] : news;
    if (run) put(place, run);
  }
});
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-action]");
  if (!button) return;
  button.disabled = true;
  const answer = await fetch(`${location.pathname}/${button.dataset.action}`, { method: "POST" });
  const said = document.querySelector(".actions output");
  if (said) said.textContent = answer.ok ? "" : await answer.text();
  button.disabled = false;
});
