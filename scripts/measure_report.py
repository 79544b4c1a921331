"""Size of reports, and the time until Chromium has opened them.

    python3 scripts/measure_report.py target/release/gdas RUN [DIRECTORY]

RUN is the directory of a search with some epochs. It is prolonged to 250 epochs, its alphas wandering on as they did, once as a
run by itself and 20 times with different seeds and settings as runs to compare; nothing of RUN is changed. Prints kilobytes and
seconds from the click to the first paint and to the end of loading, the median of three. Chromium is named by GDAS_CHROMIUM.
"""

import json
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile

from check_serve import Page, wait

EPOCHS, RUNS = 250, 20


def events(run):
    lines = (run / "events.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    for event in found:
        event.pop("crc", None)
    return found


def prolonged(found, generator):
    """The events of the search, with epochs up to the last."""
    epochs = [event for event in found if event["event"] == "epoch"]
    step = epochs[0]["step"]
    started = {**next(event for event in found if event["event"] == "started"), "epochs": EPOCHS, "step": 0}
    operations = sorted({name for event in epochs for name in re.findall(r"[\w]+(?=~)", event["genotype"])} | {"nor_conv_3x3", "skip_connect"})
    out, alphas, genotype = [started], epochs[0]["alphas"], epochs[0]["genotype"]
    for number in range(EPOCHS):
        model = epochs[min(number, len(epochs) - 1)]
        alphas = [
            {**table, "alphas": [[round(logit + generator.gauss(0, 0.02), 6) for logit in edge] for edge in table["alphas"]]}
            for table in alphas
        ]
        if generator.random() < 0.4:
            # Some edge prefers something else.
            places = list(re.finditer(r"\w+(?=~)", genotype))
            place = generator.choice(places)
            genotype = genotype[: place.start()] + generator.choice(operations) + genotype[place.end() :]
        noise = 1 + generator.gauss(0, 0.02)
        out.append({
            **model, "epoch": number, "epochs": EPOCHS, "step": (number + 1) * step, "alphas": alphas, "genotype": genotype,
            "train_loss": model["train_loss"] * noise * (1 - number / 600), "held_out_accuracy": min(model["held_out_accuracy"] * noise, 1),
            "tau": 10 - 9.9 * number / (EPOCHS - 1),
        })
    return out


def write(run, directory, name, seed):
    generator = random.Random(seed)
    place = directory / "runs" / name
    place.mkdir(parents=True)
    config = (run / "config.toml").read_text()
    config = re.sub(r"^# Checksum.*\n", "", config)
    config = re.sub(r"^seed = .*$", f"seed = {seed}", config, flags=re.M)
    config = re.sub(r"^learning_rate = .*$", f"learning_rate = {0.01 + 0.005 * (seed % 4)}", config, flags=re.M)
    (place / "config.toml").write_text(config)
    (place / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in prolonged(events(run), generator)))


def opened(page, directory):
    """Seconds from the click to the first paint and to the end of loading, then until the first chart is drawn to be explored."""
    chromium = Page(pathlib.Path(tempfile.mkdtemp(dir=directory)))
    try:
        chromium.open(page.as_uri())
        entry = "performance.getEntriesByType('navigation')[0]"
        wait("the page is loaded", lambda: chromium.value(f"{entry}.loadEventEnd") > 0)
        loaded = chromium.value(f"{entry}.loadEventEnd") / 1000
        wait("something is seen", lambda: chromium.value("performance.getEntriesByType('paint').length") > 0)
        seen = chromium.value("performance.getEntriesByType('paint')[0].startTime") / 1000
        before = chromium.value("performance.now()")
        chromium.value("document.querySelector('.charts figure.chart').scrollIntoView()")
        wait("a chart is drawn", lambda: chromium.value("document.querySelector('.charts .plot canvas') != null"), 30)
        return seen, loaded, (chromium.value("performance.now()") - before) / 1000
    finally:
        chromium.process.kill()


def main():
    program, run = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2])
    directory = pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else tempfile.mkdtemp()).resolve()
    names = [f"run-{seed:02}" for seed in range(1, RUNS + 1)]
    for seed, name in enumerate(names, 1):
        write(run, directory, name, seed)
    for what, runs in [(f"a search of {EPOCHS} epochs", names[:1]), (f"{RUNS} such searches compared", names)]:
        out = directory / f"page-{len(runs)}"
        subprocess.run([program, "report", *runs, "--out", str(out)], cwd=directory, check=True, stdout=subprocess.DEVNULL)
        page = out / "report.html"
        times = [opened(page, directory) for _ in range(3)]
        seen, loaded, drawn = (statistics.median(values) for values in zip(*times))
        print(f"{what}: {page.stat().st_size / 1000:.0f} kB, seen after {seen:.2f} s, loaded after {loaded:.2f} s, a chart drawn {drawn:.2f} s later ({page})")


if __name__ == "__main__":
    main()
