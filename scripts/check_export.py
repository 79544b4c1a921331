"""Compares an exported network with the outputs that gdas computed itself.

    python check_export.py DIRECTORY BATCH,HEIGHT,WIDTH,CHANNELS

The directory holds model.onnx, model.safetensors, model.py, images.f32 (channels last) and logits.f32.
Fails if any output differs by more than 1e-4 of the largest logit (or of one, if that is larger).
Then, for the way back, writes back.pth, back.safetensors and back.f32: other weights and PyTorch's logits with them.
"""

import importlib.util
import pathlib
import sys

import numpy as np


def compare(name, found, expected):
    scale = max(1.0, float(np.abs(expected).max()))
    worst = float(np.abs(found - expected).max()) / scale
    print(f"{name}: largest difference {worst:.1e} on {len(expected)} images")
    if found.shape != expected.shape or not worst < 1e-4:
        sys.exit(f"{name} disagrees")


def main():
    directory = pathlib.Path(sys.argv[1])
    shape = [int(n) for n in sys.argv[2].split(",")]
    images = np.fromfile(directory / "images.f32", "<f4").reshape(shape)
    images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    logits = np.fromfile(directory / "logits.f32", "<f4").reshape(shape[0], -1)
    if np.ptp(logits, axis=0).min() < 1e-3:
        sys.exit("the outputs hardly depend on the images: this would prove nothing")

    import onnx
    import onnxruntime

    onnx.checker.check_model(str(directory / "model.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(str(directory / "model.onnx"))
    compare("onnx", session.run(["logits"], {"images": images})[0], logits)
    # Any batch size must do.
    session.run(["logits"], {"images": images[:3]})

    import torch

    spec = importlib.util.spec_from_file_location("model", directory / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.load(str(directory / "model.safetensors"))
    with torch.no_grad():
        compare("pytorch", network(torch.from_numpy(images)).numpy(), logits)
    way_back(network, torch.from_numpy(images), directory)


def way_back(network, images, directory):
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(5)
    state = network.state_dict()
    for name, values in state.items():
        if values.dtype.is_floating_point:
            noise = torch.rand(values.shape) + 0.5 if name.endswith("running_var") else torch.randn(values.shape) * 0.05
            state[name] = noise if name.endswith("running_var") else values + noise
    network.load_state_dict(state)
    with torch.no_grad():
        network(images).numpy().astype("<f4").tofile(directory / "back.f32")
    torch.save(network.state_dict(), directory / "back.pth")
    save_file({name: values.contiguous() for name, values in state.items()}, directory / "back.safetensors")


main()
