#!/usr/bin/env python3
"""`gdas auto` beside the same trainer on one network for the whole budget, and beside other libraries.

    python bench/auto.py --data digits --budgets 20s
    python bench/auto.py --data cifar10/ --budgets 1m 5m 20m --seeds 1 2 3
    python bench/auto.py --data photos/ --budgets 1m --without torch sklearn

Test accuracy, the median over the seeds, as a Markdown table: a row per way, a column per budget, and the longest time that
`gdas auto` took. One thing runs at a time. The ways:

- `gdas auto`;
- the published size (C = 16, N = 5) and the size that `auto` takes for a known cell (C = 16, N = 1), each with every known
  cell: `gdas train`, its steps measured before, its epochs chosen so that it ends with the budget;
- a linear model on the pixels (scikit-learn) and a small residual network (PyTorch, cosine schedule to zero, flip and crop),
  stopped by the budget; they need `pip install scikit-learn torch pillow numpy` and an image folder or `digits`.
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import tempfile
import time

CELLS = {
    "residual": "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|",
    "three convolutions": "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|",
    "best of the table": "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|",
    "light": "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|nor_conv_1x1~1|none~2|",
}
SIZES = {"C = 16, N = 5": (16, 5), "C = 16, N = 1": (16, 1)}
TRIAL_STEPS = (2, 12)


def seconds(text):
    """Seconds of a budget such as `90s`, `5m` or `1h`."""
    number, unit = re.fullmatch(r"([0-9.]+)([smh]?)", text).groups()
    return float(number) * {"": 1, "s": 1, "m": 60, "h": 3600}[unit]


def events(arguments, *words):
    """The events of a command of gdas, and the seconds that it took."""
    with tempfile.TemporaryDirectory() as folder:
        command = [arguments.binary, *map(str, words), "--data", arguments.data, "--runs", folder, "--json"]
        began = time.monotonic()
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return [json.loads(line) for line in done.stdout.splitlines()], time.monotonic() - began


def auto(arguments, budget, seed):
    """Accuracy in percent, and seconds."""
    found, took = events(arguments, "auto", "--budget", f"{budget}s", "--seed", seed)
    return 100 * found[-1]["train"]["test_accuracy"], took


def train(arguments, cell, size, steps, seed):
    channels, cells = size
    words = ["train", cell, "--preset", "quick", "--channels", channels, "--cells", cells, "--max-steps", steps]
    words += ["--epochs", 1_000_000, "--warmup-epochs", 0.2, "--test-interval", 1_000_000, "--seed", seed]
    # The schedule ends with the steps; the rest of the preset is as it is.
    return events(arguments, *words)


def fixed(arguments, cell, size, budget, seed):
    """Accuracy in percent of one network that is trained for the budget."""
    few, many = TRIAL_STEPS
    short = train(arguments, cell, size, few, seed)[1]
    per_step = max((train(arguments, cell, size, many, seed)[1] - short) / (many - few), 1e-4)
    steps = max(1, int((budget - short) / per_step) + few)
    return 100 * train(arguments, cell, size, steps, seed)[0][-1]["test_accuracy"]


def images(data):
    """Training and test images as arrays of floats in 0..1, with labels: `digits` of scikit-learn, or an image folder."""
    import numpy as np

    if data == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        x, y = (digits.images / 16.0).astype("float32")[..., None], digits.target
        held_out = np.arange(len(y)) % 5 == 0
        return (x[~held_out], y[~held_out]), (x[held_out], y[held_out])
    from PIL import Image

    parts = []
    for part in ("train", "test"):
        classes = sorted(path for path in (pathlib.Path(data) / part).iterdir() if path.is_dir())
        files = [(file, label) for label, folder in enumerate(classes) for file in sorted(folder.iterdir())]
        pixels = [np.asarray(Image.open(file).convert("RGB"), dtype="float32") / 255 for file, _ in files]
        parts.append((np.stack(pixels), np.array([label for _, label in files])))
    return tuple(parts)


def linear(data, budget, seed):
    """A linear model, by stochastic gradient descent until the time is up."""
    import numpy as np
    from sklearn.linear_model import SGDClassifier

    began = time.monotonic()
    (x, y), (test, labels) = data
    mean, deviation = x.mean(), x.std()
    flat = lambda values: ((values - mean) / deviation).reshape(len(values), -1)
    x, test = flat(x), flat(test)
    model = SGDClassifier(loss="log_loss", alpha=1e-3, random_state=seed)
    order = np.random.default_rng(seed)
    for _ in range(50):
        model.partial_fit(*(lambda p: (x[p], y[p]))(order.permutation(len(y))), classes=np.unique(y))
        if time.monotonic() - began > 0.9 * budget:
            break
    return 100 * model.score(test, labels)


def residual(data, budget, seed):
    """A residual network of nine layers, with a one-cycle schedule over the time."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.manual_seed(seed)
    began = time.monotonic()
    (x, y), (test, labels) = data
    x, test = (torch.from_numpy(values).permute(0, 3, 1, 2) for values in (x, test))
    y, labels = torch.from_numpy(y).long(), torch.from_numpy(labels).long()
    mean, deviation = x.mean(), x.std()
    x, test = (x - mean) / deviation, (test - mean) / deviation
    width, classes, size = 16, int(y.max()) + 1, x.shape[-1]

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.a = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.b = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.norms = nn.ModuleList([nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)])
            self.skip = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else nn.Identity()

        def forward(self, x):
            inner = F.relu(self.norms[0](self.a(x)))
            return F.relu(self.norms[1](self.b(inner)) + self.skip(x))

    net = nn.Sequential(
        nn.Conv2d(x.shape[1], width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        Block(width, width, 1), Block(width, 2 * width, 2), Block(2 * width, 4 * width, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, classes),
    )
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    batch, end = min(128, max(16, len(y) // 20)), 0.93 * budget
    share = lambda: (time.monotonic() - began) / end
    while share() < 1:
        for members in torch.randperm(len(y)).split(batch):
            done = share()
            if done >= 1:
                break
            rate = 0.1 * min(done / 0.12, (1 - done) / 0.88)
            optimiser.param_groups[0]["lr"] = max(rate, 1e-5)
            images = x[members]
            if size >= 16:
                images = torch.where((torch.rand(len(members)) < 0.5)[:, None, None, None], images.flip(3), images)
                top, left = torch.randint(0, 2 * (size // 8) + 1, (2,)).tolist()
                images = F.pad(images, [size // 8] * 4)[:, :, top : top + size, left : left + size]
            optimiser.zero_grad()
            loss(net(images), y[members]).backward()
            optimiser.step()
    net.eval()
    with torch.no_grad():
        right = sum((net(a).argmax(1) == b).sum().item() for a, b in zip(test.split(500), labels.split(500)))
    return 100 * right / len(labels)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/gdas")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--budgets", nargs="+", default=["20s"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--cells", nargs="+", default=list(CELLS), help="known cells, by name")
    parser.add_argument("--without", nargs="+", default=[], choices=["auto", "fixed", "sklearn", "torch"])
    arguments = parser.parse_args()
    budgets = [seconds(text) for text in arguments.budgets]
    needs_images = not {"sklearn", "torch"} <= set(arguments.without)
    data = images(arguments.data) if needs_images else None

    ways = {}
    longest = {}
    if "auto" not in arguments.without:
        def whole(budget, seed):
            accuracy, took = auto(arguments, budget, seed)
            longest[budget] = max(longest.get(budget, 0), took)
            return accuracy
        ways["`gdas auto`"] = whole
    if "fixed" not in arguments.without:
        for name in arguments.cells:
            for title, size in SIZES.items():
                cell = CELLS[name]
                ways[f"{name}, {title}"] = lambda b, s, cell=cell, size=size: fixed(arguments, cell, size, b, s)
    if "sklearn" not in arguments.without:
        ways["linear model (scikit-learn)"] = lambda b, s: linear(data, b, s)
    if "torch" not in arguments.without:
        ways["residual network (PyTorch)"] = lambda b, s: residual(data, b, s)

    print(f"{arguments.data}, seeds {arguments.seeds}\n")
    print("| way | " + " | ".join(arguments.budgets) + " |\n| --- |" + " --- |" * len(budgets), flush=True)
    for name, way in ways.items():
        cells = [f"{statistics.median(way(b, s) for s in arguments.seeds):.2f} %" for b in budgets]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    if longest:
        print("| longest `gdas auto` | " + " | ".join(f"{longest[b]:.1f} s" for b in budgets) + " |", flush=True)


if __name__ == "__main__":
    main()
