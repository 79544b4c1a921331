"""Packs scikit-learn's copy of the UCI handwritten digits into digits.bin.

    pip download scikit-learn --no-deps && python make_digits.py scikit_learn-*.whl

Output: 1,797 records of 65 bytes (the label 0..9, then 8x8 pixels 0..16, row by row).
"""

import gzip
import pathlib
import sys
import zipfile

with zipfile.ZipFile(sys.argv[1]) as wheel:
    text = gzip.decompress(wheel.read("sklearn/datasets/data/digits.csv.gz")).decode()
rows = [[int(float(value)) for value in line.split(",")] for line in text.split()]
assert len(rows) == 1797 and all(len(row) == 65 and max(row[:64]) <= 16 for row in rows)
packed = b"".join(bytes([row[64], *row[:64]]) for row in rows)
out = pathlib.Path(__file__).parent / "digits.bin"
out.write_bytes(packed)
print(out, out.stat().st_size)
