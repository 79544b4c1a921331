"""The operations of `crates/gdas-kernels/examples/kernels/operations.rs` in PyTorch: one JSON line per operation.

Channels-last, forward and backward with the gradients of images, parameters and gates, behind the same global average
pool. Run by `compare.py --kernels`.
"""

import argparse
import json
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

from torch_step import Halve, average, conv_norm, separable


class GatedSum(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.a = nn.BatchNorm2d(channels, affine=False)
        self.b = nn.BatchNorm2d(channels, affine=False)
        self.gates = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return self.gates[0] * x + self.gates[1] * self.a(x) + self.gates[2] * self.b(x)


def grouped(channels):
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, (1, 3), (1, 2), (0, 1), groups=8, bias=False),
        nn.Conv2d(channels, channels, (3, 1), (2, 1), (1, 0), groups=8, bias=False),
        nn.BatchNorm2d(channels),
    )


KERNELS = [
    ("conv1x1 32x32x16", 32, 16, lambda: conv_norm(16, 16, 1)),
    ("conv1x1 32x32x64 to 16", 32, 64, lambda: conv_norm(64, 16, 1)),
    ("conv3x3 32x32x16", 32, 16, lambda: conv_norm(16, 16, 3)),
    ("conv3x3 16x16x32", 16, 32, lambda: conv_norm(32, 32, 3)),
    ("conv3x3 8x8x64", 8, 64, lambda: conv_norm(64, 64, 3)),
    ("conv3x3 stride 2 32x32x16 to 32", 32, 16, lambda: conv_norm(16, 32, 3, 2)),
    ("separable 3x3 32x32x16", 32, 16, lambda: separable(16, 3, 1)),
    ("separable 5x5 32x32x16", 32, 16, lambda: separable(16, 5, 1)),
    ("separable 3x3 stride 2 32x32x32", 32, 32, lambda: separable(32, 3, 2)),
    ("dilated 3x3 32x32x16", 32, 16, lambda: separable(16, 3, 1, 2)),
    ("dilated 5x5 16x16x32", 16, 32, lambda: separable(32, 5, 1, 2)),
    ("avg_pool 32x32x16", 32, 16, lambda: average(1)),
    ("max_pool 32x32x16", 32, 16, lambda: nn.MaxPool2d(3, 1, 1)),
    ("factorized reduction 32x32x32", 32, 32, lambda: Halve(32, 32)),
    ("gated sum 32x32x16", 32, 16, lambda: GatedSum(16)),
    ("grouped 1x3 3x1 16x16x64", 16, 64, lambda: grouped(64)),
]


def timed(work, passes, finish):
    """Seconds that one of several passes takes, handed over at once and waited for together."""
    finish()
    start = time.perf_counter()
    for _ in range(passes):
        work()
    finish()
    return (time.perf_counter() - start) / passes


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--passes", type=int, default=1, help="as the example `kernels_gpu`, on a GPU")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or another of PyTorch's")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    # On a GPU the calls return before the work is done.
    finish = torch.cuda.synchronize if args.device.startswith("cuda") else lambda: None
    for name, size, channels, build in KERNELS:
        op = build().to(args.device, memory_format=torch.channels_last)
        x = torch.randn(args.batch, channels, size, size, device=args.device)
        x = x.contiguous(memory_format=torch.channels_last).requires_grad_()

        def forward():
            return F.adaptive_avg_pool2d(op(x), 1)

        def both():
            for leaf in [x, *op.parameters()]:
                leaf.grad = None
            (forward().sum() / args.batch).backward()

        times = [(timed(forward, args.passes, finish), timed(both, args.passes, finish)) for _ in range(args.repeats + 2)]
        way, way_and_back = (statistics.median(column) for column in zip(*times[2:]))
        print(json.dumps({"name": name, "forward": way, "backward": way_and_back - way}), flush=True)


if __name__ == "__main__":
    main()
