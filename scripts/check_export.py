"""Compares an exported network with the outputs that gdas computed itself.

    python check_export.py DIRECTORY BATCH,HEIGHT,WIDTH,CHANNELS

The directory holds model.onnx, model.safetensors, model.py, images.f32 (channels last) and logits.f32.
Fails if any output differs by more than 1e-4 of the largest logit (or of one, if that is larger).
Then, for the way back, writes back.pth, back.safetensors and back.f32: other weights and PyTorch's logits with them.

    python check_export.py --pixels DIRECTORY BATCH,HEIGHT,WIDTH,CHANNELS

The directory holds images.u8 (channels last), float-FLIP.f32 and int8-FLIP.f32 (logits), and ONNX files of networks that
take pixels, float-FLIP-TYPE-LAYOUT.onnx and int8-FLIP-TYPE-LAYOUT.onnx. Fails as above; for those of 8 bits, where
different roundings add up, if the difference is more than 5 % of the logits (root mean square), or more than a hundredth
of the images gets another class.
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


def check_pixels(directory, shape):
    import onnx
    import onnxruntime

    bytes_ = np.fromfile(directory / "images.u8", "u1").reshape(shape)
    for path in sorted(directory.glob("*.onnx")):
        onnx.checker.check_model(str(path), full_check=True)
        kind, flip, element, layout = path.stem.split("-")
        expected = np.fromfile(directory / f"{kind}-{flip}.f32", "<f4").reshape(shape[0], -1)
        if np.ptp(expected, axis=0).min() < 1e-3:
            sys.exit("the outputs hardly depend on the images: this would prove nothing")
        images = bytes_.astype("f4") if element == "Float32" else bytes_
        images = images if layout == "ChannelsLast" else np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        plain = onnxruntime.SessionOptions()
        plain.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        for options in [None, plain] if kind == "int8" else [None]:
            session = onnxruntime.InferenceSession(str(path), options)
            logits, probabilities = session.run(None, {"images": images})
            softmax = np.exp(logits - logits.max(1, keepdims=True))
            assert np.allclose(probabilities, softmax / softmax.sum(1, keepdims=True), atol=1e-5), path
            if kind == "float":
                compare(path.stem, logits, expected)
            else:
                compare_int8(f"{path.stem}{', in integers' if options is None else ''}", logits, expected)
            # Any batch size must do.
            assert len(session.run(["logits"], {"images": images[:3]})[0]) == 3


def compare_int8(name, found, expected):
    error = float(np.sqrt(((found - expected) ** 2).mean() / ((expected - expected.mean(0)) ** 2).mean()))
    others = float((found.argmax(1) != expected.argmax(1)).mean())
    print(f"{name}: relative error {error:.1e}, another class for {others:.1%}")
    if not error < 0.05 or others > 0.01:
        sys.exit(f"{name} disagrees")


def main():
    if sys.argv[1] == "--pixels":
        return check_pixels(pathlib.Path(sys.argv[2]), [int(n) for n in sys.argv[3].split(",")])
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
