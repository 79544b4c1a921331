"""The search step that `compare.py` and `gpu.sh` time against: both supernets in plain PyTorch, on the CPU or a GPU.

Same networks, choices and updates as `crates/gdas-kernels/examples/step.rs`. Written for speed where PyTorch offers it
(channels-last, no layout changes, one drawn operation per edge), and nowhere else.
"""

import argparse
import pathlib
import time

import torch
from torch import nn
from torch.nn import functional as F

HERE = pathlib.Path(__file__).parent


def conv_norm(inputs, outputs, kernel, stride=1, affine=False):
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=not affine)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(outputs, affine=affine))


def separable(channels, kernel, stride, dilation=1):
    padding = dilation * (kernel // 2)
    depthwise = nn.Conv2d(channels, channels, kernel, stride, padding, dilation, channels, bias=False)
    return nn.Sequential(nn.ReLU(), depthwise, nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels, affine=False))


class Halve(nn.Module):
    """Factorized reduction."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.even = nn.Conv2d(inputs, outputs // 2, 1, 2)
        self.odd = nn.Conv2d(inputs, outputs - outputs // 2, 1, 2)
        self.norm = nn.BatchNorm2d(outputs, affine=False)

    def forward(self, x):
        x = F.relu(x)
        return self.norm(torch.cat([self.even(x), self.odd(F.pad(x[:, :, 1:, 1:], (0, 1, 0, 1)))], dim=1))


def average(stride):
    return nn.AvgPool2d(3, stride, 1, count_include_pad=False)


class Cell201(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.edges = nn.ModuleList(
            nn.ModuleDict({"2": conv_norm(c, c, 1), "3": conv_norm(c, c, 3), "4": average(1)}) for _ in range(6)
        )

    def forward(self, x, gates, ops):
        nodes, edge = [x], 0
        for to in range(1, 4):
            total = 0
            for source in range(to):
                op = ops[edge]
                rest = gates[edge].sum() - gates[edge, op]
                if op == 0:
                    total = total + nodes[source] * 0.0 + rest
                else:
                    y = nodes[source] if op == 1 else self.edges[edge][str(op)](nodes[source])
                    total = total + (gates[edge, op] * y + rest)
                edge += 1
            nodes.append(total)
        return nodes[3]


class Reduction(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.long = nn.Sequential(conv_norm(inputs, outputs, 3, 2, True), conv_norm(outputs, outputs, 3, 1, True))
        self.short = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x, gates, ops):
        return self.short(x) + self.long(x)


def head(channels):
    return nn.Sequential(
        nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)
    )


class Stem(nn.Module):
    """The inputs of the first cell: CIFAR's stem up to 64 pixels, ImageNet's, which divides the size by eight, for larger images."""

    def __init__(self, size, wide):
        super().__init__()
        def conv(inputs, outputs, stride):
            return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs))

        self.halves = size > 64
        if self.halves:
            self.older = nn.Sequential(conv(3, 8, 2), nn.ReLU(), conv(8, 16, 2))
            self.newer = nn.Sequential(nn.ReLU(), conv(16, 16, 2))
        else:
            self.older, self.newer = conv(3, wide, 1), nn.Identity()

    def forward(self, x):
        older = self.older(x)
        return older, self.newer(older)


class NasBench201(nn.Module):
    edges, choices, tables = 6, 5, 1

    def __init__(self, size, n=5):
        super().__init__()
        self.stem = Stem(size, 16)
        cells = []
        for c in (16, 32, 64):
            if c > 16:
                cells.append(Reduction(c // 2, c))
            cells += [Cell201(c) for _ in range(n)]
        self.cells, self.head = nn.ModuleList(cells), head(64)

    def forward(self, x, gates, ops):
        _, x = self.stem(x)
        for cell in self.cells:
            x = cell(x, gates, ops)
        return self.head(x)


class CellNas(nn.Module):
    def __init__(self, older, newer, c, reduction, before):
        super().__init__()
        self.older = Halve(older, c) if before else conv_norm(older, c, 1)
        self.newer = conv_norm(newer, c, 1)
        self.edges = nn.ModuleList()
        for node in range(4):
            for source in range(2 + node):
                s = 2 if reduction and source < 2 else 1
                self.edges.append(
                    nn.ModuleDict(
                        {
                            "1": nn.Identity() if s == 1 else Halve(c, c),
                            "2": nn.Sequential(separable(c, 3, s), separable(c, 3, 1)),
                            "3": nn.Sequential(separable(c, 5, s), separable(c, 5, 1)),
                            "4": separable(c, 3, s, 2),
                            "5": separable(c, 5, s, 2),
                            "6": average(s),
                            "7": nn.MaxPool2d(3, s, 1),
                        }
                    )
                )
        self.reduction = reduction

    def forward(self, older, newer, gates, ops):
        states, edge = [self.older(older), self.newer(newer)], 0
        for node in range(4):
            total = 0
            for source in range(2 + node):
                op, s = ops[edge], 2 if self.reduction and source < 2 else 1
                if op == 0:
                    total = total + states[source][:, :, ::s, ::s] * 0.0
                else:
                    total = total + gates[edge, op] * self.edges[edge][str(op)](states[source])
                edge += 1
            states.append(total)
        return torch.cat(states[2:], dim=1)


class NasNet(nn.Module):
    edges, choices, tables = 14, 8, 2

    def __init__(self, size):
        super().__init__()
        self.stem = Stem(size, 48)
        before = self.stem.halves
        cells, older, newer = [], *([16, 16] if before else [48, 48])
        for c, reduction in ((16, False), (16, False), (32, True), (32, False), (64, True), (64, False)):
            cells.append(CellNas(older, newer, c, reduction, before))
            older, newer, before = newer, 4 * c, reduction
        self.cells, self.head = nn.ModuleList(cells), head(newer)

    def forward(self, x, gates, ops):
        older, newer = self.stem(x)
        for cell in self.cells:
            rows = slice(14, 28) if cell.reduction else slice(0, 14)
            older, newer = newer, cell(older, newer, gates[rows], ops[rows])
        return self.head(newer)


def sampled_gates(alpha, ops, tau=5.0):
    noise = -torch.empty_like(alpha).exponential_().log()
    soft = ((alpha.log_softmax(1) + noise) / tau).softmax(1)
    return F.one_hot(torch.tensor(ops, device=alpha.device), alpha.shape[1]) - soft.detach() + soft


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", choices=["nasbench201", "nasnet"], default="nasbench201")
    parser.add_argument("--architectures", help="operation indices, one step per line")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=32, help="pixels of an image's side")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or another of PyTorch's")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32", help="bfloat16: by autocast")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    lines = pathlib.Path(args.architectures or HERE / f"{args.space}.txt").read_text().splitlines()
    lines = [[int(v) for v in line.split()] for line in lines if line.strip()]
    net = (NasBench201 if args.space == "nasbench201" else NasNet)(args.size).to(args.device, memory_format=torch.channels_last)
    alpha = nn.Parameter(1e-3 * torch.randn(net.tables * net.edges, net.choices, device=args.device))
    sgd = torch.optim.SGD(net.parameters(), lr=0.025, momentum=0.9, weight_decay=5e-4, nesterov=True)
    adam = torch.optim.Adam([alpha], lr=3e-4, betas=(0.5, 0.999), weight_decay=1e-3)
    images = torch.randn(args.batch, 3, args.size, args.size, device=args.device).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(args.batch, device=args.device) % 10
    # On a GPU the calls return before the work is done: a step counts until all of it is.
    finish = torch.cuda.synchronize if args.device.startswith("cuda") else lambda: None
    mixed = torch.autocast(torch.device(args.device).type, torch.bfloat16, enabled=args.precision == "bfloat16")

    def loss(ops):
        with mixed:
            return F.cross_entropy(net(images, sampled_gates(alpha, ops), ops), labels)

    times = []
    for step in range(args.steps + 2):
        line = lines[step % len(lines)]
        first, second = line[: len(line) // 2], line[len(line) // 2 :]
        finish()
        start = time.perf_counter()
        sgd.zero_grad()
        loss(first).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        sgd.step()
        adam.zero_grad()
        # Freezing the weights is faster than what the published code does, so it is what we compare with.
        net.requires_grad_(False)
        loss(second).backward()
        net.requires_grad_(True)
        adam.step()
        finish()
        if step >= 2:
            times.append(time.perf_counter() - start)
    print(f"torch {torch.__version__} {args.space} {args.device} threads={args.threads}: search step mean {sum(times) / len(times):.4f} s")


if __name__ == "__main__":
    main()
