"""Compares an exported network with the outputs that gdas computed itself.

    python check_export.py DIRECTORY BATCH,HEIGHT,WIDTH,CHANNELS

The directory holds model.onnx, model.safetensors, model.py, images.f32 (channels last) and logits.f32.
Fails if any output differs by more than 1e-4 of the largest logit (or of one, if that is larger).
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


main()
