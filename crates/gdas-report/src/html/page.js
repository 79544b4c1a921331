"use strict";
// Below each figure: links that save it as SVG or PNG. Everything else works without script.
function addLinks(figure) {
  // The drawing of a cell changes with its slider.
  const drawing = () => figure.querySelector("svg");
  if (!drawing()) return;
  const name = figure.dataset.name;
  // Standing alone, a drawing needs the page's rules and a ground.
  const alone = () => {
    const svg = drawing();
    const copy = svg.cloneNode(true);
    const sheet = document.createElementNS(svg.namespaceURI, "style");
    sheet.textContent = [...document.styleSheets[0].cssRules].map((rule) => rule.cssText)
      .filter((text) => /\.(chart|cell|heat|reliability) /.test(text)).join("");
    const ground = document.createElementNS(svg.namespaceURI, "rect");
    ground.setAttribute("class", "page");
    ground.setAttribute("width", "100%");
    ground.setAttribute("height", "100%");
    copy.prepend(sheet, ground);
    return new XMLSerializer().serializeToString(copy);
  };
  const save = (blob, ending) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${name}.${ending}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const vector = () => new Blob([alone()], { type: "image/svg+xml" });
  const pixels = () => {
    const svg = drawing();
    const image = new Image();
    image.onload = () => {
      const canvas = document.createElement("canvas");
      canvas.width = 2 * svg.viewBox.baseVal.width;
      canvas.height = 2 * svg.viewBox.baseVal.height;
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => save(blob, "png"));
    };
    image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(alone());
  };
  const links = document.createElement("div");
  links.className = "save";
  for (const [text, action] of [["SVG", () => save(vector(), "svg")], ["PNG", pixels]]) {
    const link = document.createElement("a");
    link.href = "#";
    link.textContent = text;
    link.setAttribute("aria-label", `Save ${name} as ${text}`);
    link.addEventListener("click", (event) => { event.preventDefault(); action(); });
    links.append(link);
  }
  figure.append(links);
}
document.querySelectorAll("figure").forEach(addLinks);
startFigures();
