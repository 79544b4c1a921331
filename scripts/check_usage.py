"""What the program prints after an export is run on real files, and must answer as `gdas predict` does.

    python check_usage.py PROGRAM [--rust]

Trains a small network on pictures made here, exports it in float32 and in 8 bits, in all types and layouts, runs the Python
program that `gdas export` printed on images of several kinds (other sizes, grey, transparent, turned by EXIF), and compares
class and probability with `gdas predict`. The accuracy that `gdas export --int8` prints is compared with ONNX Runtime's on
the same images. With --rust the printed Rust program is compiled, in examples/onnx, and compared too. The Python needs
numpy, onnxruntime and pillow.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime
from PIL import Image

CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
CLASSES = {"bars": (1, 0), "rings": (1, 1), "spots": (0, 1)}


def picture(kind, rng, height=24, width=24):
    """Bars, rings or spots in colours of their own on noise."""
    y, x = np.mgrid[:height, :width]
    phase, period = rng.uniform(0, 6), rng.uniform(5, 9) * width / 24
    wave = {
        "bars": np.sin(x / period * 6.28 + phase),
        "rings": np.sin(np.hypot(y - height / 2, x - width / 2) / period * 6.28 + phase),
        "spots": np.sin(x / period * 6.28 + phase) * np.sin(y / period * 6.28 + phase),
    }[kind]
    colour = rng.uniform(40, 120, 3)
    pixels = 128 + wave[..., None] * colour + rng.normal(0, 15, (height, width, 3))
    return Image.fromarray(pixels.clip(0, 255).astype("u1"))


def answers(text):
    return {pathlib.Path(line["image"]).name: line for line in map(json.loads, text.splitlines())}


def main():
    program = str(pathlib.Path(sys.argv[1]).resolve())
    work = pathlib.Path(tempfile.mkdtemp())
    rng = np.random.default_rng(5)

    def gdas(*arguments):
        done = subprocess.run([program, *arguments], cwd=work, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{arguments}: {done.stdout}{done.stderr}")
        return done.stdout, done.stderr

    for part, count in (("train", 40), ("test", 30)):
        for kind in CLASSES:
            folder = work / "pictures" / part / kind
            folder.mkdir(parents=True)
            for n in range(count):
                picture(kind, rng).save(folder / f"{n}.png")
    gdas("train", CELL, "--data", "pictures", "--preset", "digits", "--epochs", "12", "--name", "net", "--quiet", "--test-flip", "true")

    odd = work / "odd"
    odd.mkdir()
    picture("rings", rng).save(odd / "same-size.png")
    picture("bars", rng, 60, 90).save(odd / "larger.png")
    picture("spots", rng, 24, 24).convert("L").save(odd / "grey.png")
    see_through = picture("rings", rng, 24, 24).convert("RGBA")
    see_through.putalpha(Image.fromarray((np.mgrid[:24, :24][0] * 10).astype("u1")))
    see_through.save(odd / "transparent.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture("bars", rng, 24, 24).save(odd / "turned.png", exif=exif)
    files = sorted(odd.iterdir())
    _, told = gdas("predict", "net", "odd", "--json")
    if "1 of 5 images have transparent parts" not in told:
        sys.exit(f"nothing is said about transparency: {told}")

    limits = {}
    for name, flags in {
        "plain": [],
        "float": ["--input", "float", "--layout", "nhwc"],
        "nhwc": ["--layout", "nhwc", "--test-flip=false"],
        "int8": ["--int8"],
    }.items():
        text, log = gdas("export", "net", "--to", f"{name}.onnx", *flags)
        flip = "false" if name == "nhwc" else "true"
        expected = answers(gdas("predict", "net", "odd", "--json", f"--test-flip={flip}")[0])
        python = text.split("in Python")[1].split(":\n\n", 1)[1].split("\nin Rust")[0]
        python = "\n".join(line.removeprefix("    ") for line in python.splitlines())
        assert len(python.splitlines()) <= 12, python
        for file in files:
            output = subprocess.run([sys.executable, "-c", python, str(file)], cwd=work, capture_output=True, text=True)
            if output.returncode != 0:
                sys.exit(f"{name}, {file.name}: {output.stderr}")
            label, probability = output.stdout.split()
            says = expected[file.name]
            apart = abs(float(probability) - says["probabilities"][label])
            # Pillow rounds where it resizes, and differently; 8 bits round everywhere.
            limit = 0.1 if name == "int8" else 1e-4 if file.name != "larger.png" else 0.02
            print(f"{name}, {file.name}: {label} {float(probability):.4f}, apart by {apart:.1e}")
            if label != says["class"] or apart > limit:
                sys.exit(f"{name}, {file.name}: the example says {label} {probability}, gdas predict {says}")
        if name == "int8":
            check_int8(work, log)
        if name == "plain" and "--rust" in sys.argv[2:]:
            check_rust(work, text, expected, files)


def check_int8(work, log):
    """Accuracy in integers, counted here, against what was printed; and the size."""
    session = onnxruntime.InferenceSession(work / "int8.onnx")
    classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    right = total = 0
    for label, name in enumerate(classes):
        for file in sorted((work / "pictures/test" / name).iterdir()):
            pixels = np.asarray(Image.open(file)).transpose(2, 0, 1)[None]
            right += int(session.run(["logits"], {"images": pixels})[0].argmax() == label)
            total += 1
    said = float(re.search(r"int8 ([\d.]+) %", log).group(1))
    print(f"int8: {100 * right / total:.2f} % in ONNX Runtime, {said:.2f} % printed; {log.splitlines()[-3:]}")
    if abs(100 * right / total - said) > 100 * 1.5 / total:
        sys.exit("the printed accuracy is not that of the file")
    if (work / "int8.onnx").stat().st_size > 0.5 * (work / "plain.onnx").stat().st_size:
        sys.exit("8 bits save no space")


def check_rust(work, text, expected, files):
    example = pathlib.Path(__file__).resolve().parent.parent / "examples/onnx"
    rust = text.split("in Rust")[1].split(":\n\n", 1)[1]
    rust = "\n".join(line.removeprefix("    ") for line in rust.splitlines()) + "\n"
    (work / "Cargo.toml").write_bytes((example / "Cargo.toml").read_bytes())
    (work / "src").mkdir()
    (work / "src/main.rs").write_text(rust)
    target = example / "target"
    subprocess.run(["cargo", "build", "--target-dir", str(target)], cwd=work, check=True)
    for file in files:
        if file.name in ("transparent.png", "turned.png"):
            # The short program leaves these to its user, as the documentation says.
            continue
        output = subprocess.run([str(target / "debug/classify"), str(file)], cwd=work, capture_output=True, text=True)
        if output.returncode != 0:
            sys.exit(f"Rust, {file.name}: {output.stderr}")
        for line in output.stdout.splitlines():
            label, probability = line.split()
            apart = abs(float(probability) - expected[file.name]["probabilities"][label])
            print(f"Rust, {file.name}: {label} {float(probability):.4f}, apart by {apart:.1e}")
            if apart > (1e-4 if file.name != "larger.png" else 1e-3):
                sys.exit(f"Rust, {file.name}: {line}, gdas predict {expected[file.name]}")


main()
