"""axe-core for the checks of pages: names, contrast, roles, keyboard. Fetched by npm in a pinned version, or named by GDAS_AXE
(a path to `axe.min.js`). Where neither is to be had, it says that nobody looks.
"""

import functools
import os
import pathlib
import subprocess
import tarfile
import tempfile

VERSION = "4.14.1"
# Width and scheme of each look.
LOOKS = [(width, scheme) for width in (1200, 400) for scheme in ("light", "dark")]


@functools.cache
def script():
    """The program's text; nothing where it cannot be had."""
    if named := os.environ.get("GDAS_AXE"):
        return pathlib.Path(named).read_text()
    with tempfile.TemporaryDirectory() as directory:
        pack = ["npm", "pack", f"axe-core@{VERSION}", "--prefer-offline", "--fetch-retries=1", "--fetch-timeout=20000"]
        try:
            subprocess.run(pack, cwd=directory, check=True, capture_output=True, timeout=120)
            archive = tarfile.open(pathlib.Path(directory) / f"axe-core-{VERSION}.tgz")
            return archive.extractfile("package/axe.min.js").read().decode()
        except (OSError, subprocess.SubprocessError, tarfile.TarError) as error:
            print(f"SKIPPED: no axe-core {VERSION} ({error}); nobody looks at names, contrast and roles of the pages")
            return None


def violations(page, looks=LOOKS):
    """What axe-core finds on a page that is open, a line each, at each width and in each scheme."""
    if (program := script()) is None:
        return []
    page.value(f"(() => {{ const module = undefined, define = undefined; {program}; return true; }})()")
    found = []
    for width, scheme in looks:
        page.look(scheme, width, 900)
        result = page.value(
            "axe.run(document, { resultTypes: ['violations'] }).then((found) => found.violations.map((rule) => "
            "[rule.id, rule.help, rule.nodes.length, rule.nodes.slice(0, 3).map((node) => node.html.slice(0, 160) + "
            "' [' + (node.any[0]?.message ?? node.all[0]?.message ?? node.none[0]?.message ?? '').slice(0, 200) + ']')]))"
        )
        if result is None:
            found.append(f"{width} pixels, {scheme}: axe-core gave no answer")
            continue
        found += [f"{width} pixels, {scheme}: {rule} ({text}) at {count} places: {nodes}" for rule, text, count, nodes in result]
    return found
