"""Looks at a report as Chromium renders it, light and dark, wide and narrow.

    python check_report.py report.html [--screenshots]

Fails if what a reader does with it (values under the pointer and by keyboard, sliders, sorting, filters) has no effect,
axe-core finds a fault at 1200 or 400 pixels, light or dark, a drawing is empty, two texts of a drawing overlap, a text leaves its drawing, the page scrolls sideways, or the console
shows an error. Leaves screenshots beside the page on request. Chromium is named by GDAS_CHROMIUM.
"""

import html
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

PROBE = """
<script>
addEventListener("load", () => {
  const faults = [];
  document.querySelectorAll("details").forEach((d) => { d.open = true; });
  for (const figure of document.querySelectorAll("figure")) {
    // Charts that were drawn to be explored hide their drawing, which is what is printed and saved.
    if (figure.classList.contains("drawn")) {
      if (!figure.querySelector("canvas")?.width) faults.push(`${figure.dataset.name}: no canvas`);
      figure.classList.remove("drawn");
    }
    const svg = figure.querySelector("svg");
    if (!svg) continue;
    const name = figure.dataset.name;
    const frame = svg.getBoundingClientRect();
    if (frame.width < 50 || frame.height < 20) faults.push(`${name}: drawn ${frame.width}x${frame.height}`);
    const marks = [...svg.querySelectorAll("path:not(.grid):not(.axis),circle,rect")];
    if (!marks.some((m) => m.getBBox().width + m.getBBox().height > 0)) faults.push(`${name}: empty`);
    const texts = [...svg.querySelectorAll("text")].map((t) => [t.textContent, t.getBoundingClientRect()]);
    for (const [i, [a, p]] of texts.entries()) {
      const slack = 1;
      if (p.left < frame.left - slack || p.right > frame.right + slack || p.bottom > frame.bottom + slack)
        faults.push(`${name}: "${a}" leaves the drawing`);
      for (const [b, q] of texts.slice(i + 1))
        if (p.left < q.right - slack && q.left < p.right - slack && p.top < q.bottom - 3 && q.top < p.bottom - 3)
          faults.push(`${name}: "${a}" overlaps "${b}"`);
    }
    const boxes = [...svg.querySelectorAll("rect.node,rect.label")].map((r) => [r, r.getBoundingClientRect()]);
    for (const [rect, box] of boxes) {
      const text = rect.nextElementSibling.getBoundingClientRect();
      if (text.left < box.left || text.right > box.right) faults.push(`${name}: a text is wider than its box`);
    }
  }
  if (document.documentElement.scrollWidth > innerWidth + 1) faults.push("the page scrolls sideways");
  const count = document.querySelectorAll("figure").length;
  const ground = getComputedStyle(document.body).backgroundColor;
  document.body.dataset.probe = JSON.stringify({ faults, count, ground });
});
</script>
"""

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --enable-logging=stderr --v=0"
).split()


def chromium(page, profile, *flags):
    program = os.environ.get("GDAS_CHROMIUM", "chromium")
    command = [program, *FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


# What a reader does, and what must come of it: each an expression that is true.
EXPLORE = {
    "arrow keys say the values of a chart": """(() => {
      const plot = document.querySelector(".charts figure.chart .plot");
      if (!plot) return true;
      plot.dispatchEvent(new KeyboardEvent("keydown", { key: "End" }));
      const said = plot.parentElement.querySelector(".said").textContent;
      const data = JSON.parse(plot.parentElement.querySelector("script.data").textContent);
      return said.startsWith("epoch ") && data.series.every((series) => said.includes(series.name));
    })()""",
    "the pointer shows values": """(() => {
      const figure = document.querySelector(".charts figure.chart");
      if (!figure) return true;
      const over = figure.querySelector(".u-over");
      const box = over.getBoundingClientRect();
      const point = (share) => {
        const at = { clientX: box.left + share * box.width, clientY: box.top + box.height / 2, bubbles: true };
        over.dispatchEvent(new MouseEvent("mouseenter", at));
        over.dispatchEvent(new MouseEvent("mousemove", at));
        return new Promise((done) => setTimeout(() => done([...figure.querySelectorAll(".u-value")].map((value) => value.textContent)), 300));
      };
      const epochs = JSON.parse(figure.querySelector("script.data").textContent).series[0].x.length;
      return point(0.02).then((first) => point(0.98).then((last) =>
        first.length > 1 && [...first, ...last].every((text) => /[0-9]/.test(text)) && (epochs < 2 || first.join() !== last.join())));
    })()""",
    "smoothing keeps what was measured": """(() => {
      const slider = document.querySelector(".bar input[type=range]");
      if (!slider) return true;
      slider.value = 0.8;
      slider.dispatchEvent(new Event("input"));
      return new Promise((done) => setTimeout(() => {
        const labels = [...document.querySelectorAll(".charts figure.chart .u-label")].map((label) => label.textContent);
        slider.value = 0;
        slider.dispatchEvent(new Event("input"));
        done(labels.some((label) => label.includes("as measured")));
      }, 300));
    })()""",
    "a heat map says its numbers, and opens the chart of an edge": """(() => {
      const figure = document.querySelector("figure.heatmap");
      if (!figure) return true;
      const svg = figure.querySelector("svg");
      const data = JSON.parse(figure.querySelector("script.data").textContent);
      const frame = svg.getBoundingClientRect();
      const scale = frame.width / data.width;
      svg.dispatchEvent(new PointerEvent("pointermove", { clientX: frame.left + (data.left + 1) * scale, clientY: frame.top + (data.top + 1) * scale }));
      if (!figure.querySelector(".values").textContent.startsWith(`Epoch ${data.epochs[0]}, ${data.edges[0]}: `)) return false;
      svg.dispatchEvent(new KeyboardEvent("keydown", { key: "End" }));
      if (!figure.querySelector(".values").textContent.startsWith(`Epoch ${data.epochs.at(-1)}, `)) return false;
      svg.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" }));
      const chart = figure.nextElementSibling;
      return /^Epoch [0-9]+, .* %/.test(figure.querySelector(".values").textContent) && chart?.querySelector("canvas") != null;
    })()""",
    "a reliability diagram says its numbers by keyboard and pointer": """(() => {
      const figure = document.querySelector("figure.bins");
      if (!figure) return true;
      const svg = figure.querySelector("svg");
      const said = () => figure.querySelector(".values").textContent;
      svg.dispatchEvent(new KeyboardEvent("keydown", { key: "End" }));
      const last = said();
      const box = svg.getBoundingClientRect();
      svg.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + 0.5 * box.width, clientY: box.top + 0.5 * box.height }));
      return last.startsWith("Confidence 93.3 to 100.0 %: ") && said().startsWith("Confidence 4") && svg.tabIndex === 0;
    })()""",
    "wrong images are shown, each with its words": """(() => {
      const images = [...document.querySelectorAll(".mistakes img")];
      return images.every((image) => image.src.startsWith("data:image/png;base64,") && image.alt.includes("taken for"));
    })()""",
    "the slider shows the cell of the first epoch": """(() => {
      const figure = document.querySelector("figure.cells");
      if (!figure) return true;
      const slider = figure.querySelector("input");
      const before = figure.querySelector("code").textContent;
      slider.value = 0;
      slider.dispatchEvent(new Event("input"));
      return figure.querySelector("svg") != null && figure.querySelector("output").textContent === "1" && before !== "";
    })()""",
    "tables of runs are sorted and filtered": """(() => {
      const table = document.querySelector("table.sortable");
      if (!table) return true;
      const names = () => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent);
      const first = table.querySelector("th button");
      first.click();
      const up = names();
      first.click();
      const down = names();
      const filter = table.closest(".scroll").previousElementSibling;
      filter.value = up[0];
      filter.dispatchEvent(new Event("input"));
      const shown = [...table.tBodies[0].rows].filter((row) => !row.hidden).length;
      return JSON.stringify(up) === JSON.stringify(down.reverse()) && shown >= 1 && (shown < up.length || up.length === 1);
    })()""",
}


def explore(page, directory):
    """Does what a reader does; returns what did not come of it, and what axe-core finds."""
    import axe
    from check_serve import Page, wait

    opened = Page(directory / "explored")
    try:
        opened.open(page.as_uri())
        opened.value("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        if opened.value("document.querySelector('.charts figure.chart') != null"):
            opened.value("document.querySelector('.charts figure.chart').scrollIntoView()")
            wait("charts are drawn", lambda: opened.value("document.querySelector('.charts .plot canvas') != null"), 30)
        faults = ["in vain: " + what for what, done in EXPLORE.items() if opened.value(done) is not True]
        return faults + ["axe-core: " + line for line in axe.violations(opened)]
    finally:
        opened.process.kill()


def main():
    page = pathlib.Path(sys.argv[1]).resolve()
    failed = False
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        probed = directory / "probed.html"
        probed.write_text(page.read_text().replace("</body>", PROBE + "</body>"))
        grounds = set()
        for width, scheme in [(1280, 1), (1280, 0), (420, 1)]:
            flags = [f"--window-size={width},900", f"--blink-settings=preferredColorScheme={scheme}"]
            run = chromium(probed, directory / "profile", *flags, "--dump-dom")
            found = re.search(r'data-probe="([^"]*)"', run.stdout)
            if not found:
                sys.exit(f"the page did not load: {run.stderr[-2000:]}")
            probe = json.loads(html.unescape(found[1]))
            errors = [line for line in run.stderr.splitlines() if "CONSOLE" in line]
            name = f"{width} pixels, {'dark' if scheme == 0 else 'light'}"
            print(f"{name}: {probe['count']} figures, {len(probe['faults'])} faults, {len(errors)} console messages")
            for fault in probe["faults"][:20] + errors:
                print("  ", fault)
            failed |= bool(probe["faults"] or errors) or probe["count"] == 0
            if width == 1280:
                grounds.add(probe["ground"])
            if "--screenshots" in sys.argv and width == 1280:
                shot = page.with_name(f"screenshot-{'dark' if scheme == 0 else 'light'}.png")
                chromium(page, directory / "profile", f"--window-size={width},3600", flags[1], f"--screenshot={shot}")
        for fault in explore(page, directory):
            print("  ", fault)
            failed = True
        if len(grounds) != 2:
            sys.exit(f"light and dark look the same: {grounds}")
    sys.exit(failed)


main()
