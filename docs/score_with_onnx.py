"""Scores a folder of pictures with nothing but onnxruntime, numpy and Pillow:
python score_with_onnx.py onnx_detector.onnx FOLDER
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

KINDS = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
MODES = {"1", "L", "P", "RGB"}  # of others kedro's own inference knows the grey values, see ImageFolderDataset

session = onnxruntime.InferenceSession(sys.argv[1])
geometry = json.loads(session.get_modelmeta().custom_metadata_map["geometry"])
size = np.array(geometry["image_size"])
if geometry.get("local_contrast"):
    sys.exit("This detector levels local contrast first (data_prep.local_contrast), which this script does not.")
folder = Path(sys.argv[2])
if not folder.is_dir():
    sys.exit(f"{folder}: found no folder of this name; correct the path.")
sys.stdout.reconfigure(errors="backslashreplace")  # names need not be UTF-8
for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in KINDS):
    if any(part.startswith(".") for part in path.relative_to(folder).parts):  # hidden
        continue
    try:
        opened = Image.open(path)
        if getattr(opened, "is_animated", False) and opened.format != "MPO":  # a camera's, one photograph all the same
            raise ValueError("an animated or multi-page file")
        picture = ImageOps.exif_transpose(opened)
    except Exception as error:  # damaged bytes make decoders raise anything, and one picture stops no others
        print(path, "-", f"not judged: {error}", sep="\t")
        continue
    if picture.mode not in MODES or "transparency" in picture.info:
        print(path, "-", "not judged: transparent, or grey of more than 8 bits, or CMYK", sep="\t")
        continue
    picture = picture.convert("L" if picture.mode in "1L" else "RGB").convert(
        "L" if geometry["channels"] == 1 else "RGB"
    )
    inner = size  # "resize" may change the aspect ratio, "pad" keeps it and repeats the edge
    if geometry["fit"] == "pad":
        own = np.array([picture.height, picture.width])
        inner = np.clip(np.round(own * min(size / own)), 1, size)
    pixels = np.atleast_3d(picture.resize(inner[::-1].astype(int), Image.Resampling.BILINEAR))
    before = (size - pixels.shape[:2]) // 2
    around = [*zip(before, size - pixels.shape[:2] - before, strict=True), (0, 0)]
    images = np.pad(pixels, around, mode="edge").transpose(2, 0, 1)[None]
    score, p_value, is_flagged = session.run(["score", "p_value", "is_flagged"], {"images": images})
    print(path, f"{score[0]:.6f} {p_value[0]:.4f}", "anomalous" if is_flagged[0] else "normal", sep="\t")
