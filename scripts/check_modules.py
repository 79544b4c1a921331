#!/usr/bin/env python3
"""Checks that no file of a crate needs a file that needs it, directly or by way of others, tests aside. A file such as
`read.rs` and the files in its folder `read/` may need each other.

    python3 scripts/check_modules.py
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PATH = re.compile(r"\b(crate|self|(?:super::)*super)::((?:\w+::)*)(\w+|\{[^}]*\}|\*)")


def modules(source):
    """The files below a crate's `src`, by module path."""
    found = {}
    for file in source.rglob("*.rs"):
        parts = file.relative_to(source).with_suffix("").parts
        found[parts[:-1] if parts[-1] in ("mod", "lib", "main") else parts] = file
    return {path: file for path, file in found.items() if "tests" not in path}


def needs(path, file, known):
    """The modules that a file names."""
    text = re.sub(r"#\[cfg\(test\)\]\s*(pub(\(\w+\))? )?mod \w+ \{.*", "", file.read_text(), flags=re.S)
    text = re.sub(r"//.*", "", text)
    for start, middle, last in PATH.findall(text):
        base = {"crate": (), "self": path}.get(start, path[: len(path) - start.count("super")])
        names = re.findall(r"(?:^|[{,])\s*(\w+)", last) if last.startswith("{") else [last]
        for name in names:
            target = (*base, *filter(None, middle.split("::")), name)
            # What a file re-exports lies in the file it takes it from.
            source = known.get(target[:-1])
            if source and path[: len(target) - 1] != target[:-1]:
                for child, exported in re.findall(r"pub(?:\(\w+\))? use (?:self::)?(\w+)::([^;]+);", source.read_text()):
                    if re.search(rf"\b{name}\b", exported) and (*target[:-1], child) in known:
                        target = (*target[:-1], child)
            while target and target not in known:
                target = target[:-1]
            if target and target != path and target[: len(path)] != path and path[: len(target)] != target:
                yield target


def cycle(edges):
    """Some cycle, if there is one."""
    done, trail = set(), []

    def visit(node):
        if node in trail:
            return trail[trail.index(node) :]
        if node in done:
            return None
        trail.append(node)
        for other in sorted(edges[node]):
            if found := visit(other):
                return found
        trail.pop()
        done.add(node)
        return None

    return next((found for node in sorted(edges) if (found := visit(node))), None)


wrong = False
for source in sorted(ROOT.glob("crates/*/src")):
    # The seam to Burn and the engines behind it need each other.
    if source.parent.name == "gdas-kernels":
        continue
    known = modules(source)
    if found := cycle({path: set(needs(path, file, known)) for path, file in known.items()}):
        wrong = True
        print(f"{source.parent.name}: {' -> '.join('::'.join(path) for path in [*found, found[0]])}")
sys.exit(wrong)
