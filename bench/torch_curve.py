"""Does our supernet learn as PyTorch's does? The first epochs of a search on NAS-Bench-201, with the published settings, in PyTorch.

    python bench/torch_curve.py IMAGES --epochs 1 --seed 0        # IMAGES/<class>/<file>, the training images

prints, per epoch, the mean loss and accuracy of both halves, and alpha; they stand beside those that `gdas search --preset paper`
logs. The two programs draw other random numbers, so what must agree is the curve within its spread over seeds, not the bits. Needs
torch, numpy and Pillow.
"""

import argparse
import pathlib

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from torch_step import NasBench201

MEAN, STD = np.float32([125.3, 123.0, 113.9]), np.float32([63.0, 62.1, 66.7])


def read(folder, rng):
    """Both halves, each with half of every class: two (images as bytes, labels)."""
    halves = [], []
    for label, directory in enumerate(sorted(p for p in pathlib.Path(folder).iterdir() if p.is_dir())):
        files = sorted(directory.iterdir())
        for place, index in enumerate(rng.permutation(len(files))):
            halves[place % 2].append((np.asarray(Image.open(files[index]).convert("RGB")), label))
    return [(np.stack([x for x, _ in half]), np.array([y for _, y in half])) for half in halves]


def batch(half, indices, rng):
    """Flip, crop of 32 from 40, normalise."""
    images, labels = half
    out = np.zeros((len(indices), 40, 40, 3), np.float32)
    out[:, 4:36, 4:36] = (images[indices] - MEAN) / STD
    rows, columns, flips = rng.integers(0, 9, (2, len(indices))).tolist() + [rng.random(len(indices)) < 0.5]
    crops = [x[r : r + 32, c : c + 32][:, :: -1 if flip else 1] for x, r, c, flip in zip(out, rows, columns, flips)]
    x = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    return x, torch.from_numpy(labels[indices])


def draw(alpha, tau):
    noise = -torch.empty_like(alpha).exponential_().log()
    soft = ((alpha.log_softmax(1) + noise) / tau).softmax(1)
    picked = soft.argmax(1)
    return F.one_hot(picked, alpha.shape[1]) - soft.detach() + soft, picked.tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--schedule", type=int, default=250, help="epochs of the whole schedule, of which these are the first")
    parser.add_argument("--cells", type=int, default=5, help="N")
    parser.add_argument("--alpha-rate", type=float, default=3e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    train, held_out = read(args.images, rng)
    net = NasBench201(args.cells).to(memory_format=torch.channels_last)
    alpha = nn.Parameter(1e-3 * torch.randn(net.edges, net.choices))
    sgd = torch.optim.SGD(net.parameters(), lr=0.025, momentum=0.9, weight_decay=5e-4, nesterov=True)
    adam = torch.optim.Adam([alpha], lr=args.alpha_rate, betas=(0.5, 0.999), weight_decay=1e-3)
    steps = -(-len(train[1]) // args.batch)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, args.schedule * steps, 0.001)
    for epoch in range(args.epochs):
        tau = 10 - 9.9 * epoch / (args.schedule - 1)
        order = rng.permutation(len(train[1]))
        sums = np.zeros(6)
        for step in range(steps):
            for part, half in enumerate((train, held_out)):
                if part == 0:
                    indices = order[step * args.batch : (step + 1) * args.batch]
                else:
                    indices = rng.integers(0, len(half[1]), args.batch)
                x, y = batch(half, indices, rng)
                sgd.zero_grad()
                adam.zero_grad()
                net.requires_grad_(part == 0)
                gates, picked = draw(alpha, tau)
                logits = net(x, gates, picked)
                loss = F.cross_entropy(logits, y)
                loss.backward()
                if part == 0:
                    nn.utils.clip_grad_norm_(net.parameters(), 5.0)
                    sgd.step()
                else:
                    adam.step()
                hits = (logits.argmax(1) == y).sum().item()
                sums[3 * part : 3 * part + 3] += loss.item() * len(y), hits, len(y)
            cosine.step()
        print(
            f"epoch {epoch + 1}: train loss {sums[0] / sums[2]:.3f} accuracy {100 * sums[1] / sums[2]:.1f} %, "
            f"held-out loss {sums[3] / sums[5]:.3f} accuracy {100 * sums[4] / sums[5]:.1f} %",
            flush=True,
        )
        for row in alpha.tolist():
            print("   ", " ".join(f"{value:+.2f}" for value in row), flush=True)


if __name__ == "__main__":
    main()
