"use strict";
// Numbers and pictures are packed (gzip, base 64) where they are long.
async function unpack(text) {
  const bytes = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}
// Unpacks the numbers of all figures in place, then draws them to be explored. Pictures of cells, which are many, stay packed in
// the page.
async function startFigures() {
  const packed = document.querySelectorAll('figure:not(.cells) > script.data[type="application/gzip"]');
  await Promise.all([...packed].map(async (script) => {
    script.textContent = await unpack(script.textContent);
    script.type = "application/json";
  }));
  charts.start();
  explore.start();
}
