"""Grids of pictures: laid out, written, read back."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganlab.data.imageset import to_float, to_uint8
from ganlab.data.sizes import Size, as_size
from ganlab.errors import DataError, FileError, at_least
from ganlab.files import reason, replacing, told


def tile(images: torch.Tensor, columns: int = 8, pad: int = 2) -> np.ndarray:
    """Lay pictures out in rows.

    Args:
        images: (N, C, H, W) floats in [-1, 1] or uint8. One channel is grey, two are red and
            green, three are colours, of four the last is opacity, over white, and of more the
            first three are shown.
        columns: pictures a row.
        pad: pixels of white between them.

    Returns:
        (rows·(H+pad)+pad, columns·(W+pad)+pad, 3) uint8.

    Raises:
        DataError: no pictures, or one has NaN, which no colour shows.
        RecipeError: `columns` or `pad` is no count.
    """
    columns, pad = at_least("columns", columns), at_least("pad", pad, 0, 1000)
    pixels = _colours(images)
    n, _, height, width = pixels.shape
    columns = min(columns, n)
    rows = math.ceil(n / columns)
    sheet = np.full((rows * (height + pad) + pad, columns * (width + pad) + pad, 3), 255, np.uint8)
    for i, picture in enumerate(pixels.permute(0, 2, 3, 1).numpy()):
        top = pad + (i // columns) * (height + pad)
        left = pad + (i % columns) * (width + pad)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def _colours(images: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) of any C -> (N, 3, H, W) bytes."""
    if not isinstance(images, torch.Tensor) or images.ndim != 4 or 0 in images.shape:
        found = tuple(getattr(images, "shape", ())) or type(images).__name__
        raise DataError(f"pictures are (N, C, H, W), not {found}")
    pixels = images.detach().cpu()
    if pixels.dtype != torch.uint8:
        if bool(pixels.isnan().any()):
            raise DataError("pictures contain NaN: there is nothing to draw")
        pixels = to_uint8(pixels)
    channels = pixels.shape[1]
    if channels == 1:
        return pixels.expand(-1, 3, -1, -1)
    if channels == 2:
        return torch.cat([pixels, torch.zeros_like(pixels[:, :1])], 1)
    if channels == 4:
        opaque = pixels[:, 3:].float() / 255
        return (pixels[:, :3] * opaque + 255 * (1 - opaque)).round().to(torch.uint8)
    return pixels[:, :3]


def save_grid(images: torch.Tensor, path: str | Path, columns: int = 8, zoom: int = 2) -> Path:
    """Write a grid of pictures (as in `tile`), each pixel `zoom` times enlarged.

    Args:
        images, columns: as in `tile`.
        path: its ending is the format: .png, .jpg, .webp or another that Pillow writes.
        zoom: 1 to 64.

    Returns:
        The path.

    Raises:
        DataError, RecipeError: as for `tile`.
        FileError: it cannot be written there, or its ending is no format of pictures.
    """
    from PIL import Image

    zoom = at_least("zoom", zoom, 1, 64)
    sheet = Image.fromarray(tile(images, columns))
    size = (sheet.width * zoom, sheet.height * zoom)
    return _save(sheet.resize(size, Image.Resampling.NEAREST), path)


def _save(picture: Any, path: str | Path) -> Path:
    """Write a Pillow image whole, in the format of its path's ending."""
    from PIL import Image

    path = Path(path)
    if Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise FileError(f"{path}: '{path.suffix}' is no ending of pictures: take .png or .jpg")
    with replacing(path) as partial:
        try:
            picture.save(partial, optimize=True)
        except ValueError as error:  # WebP and JPEG have a largest side
            raise FileError(f"{path} cannot be written ({reason(error)}): take .png") from error
    return path


def untile(path: str | Path, size: Size, zoom: int = 2, pad: int = 2) -> torch.Tensor:
    """The pictures of a grid that `save_grid` wrote, (N, 3, H, W) in [-1, 1].

    Places of the last row that hold no picture come out white.

    Raises:
        FileError: there is no such picture, or it is damaged.
    """
    from PIL import Image

    with told(path, "be read as a picture"), Image.open(path) as file:
        sheet = file.convert("RGB")
    small = sheet.resize((sheet.width // zoom, sheet.height // zoom), Image.Resampling.NEAREST)
    pixels = torch.from_numpy(np.array(small))[pad:, pad:]
    h, w = as_size(size)
    cut = pixels.unfold(0, h, h + pad).unfold(1, w, w + pad)
    return to_float(cut.reshape(-1, 3, h, w))


def save_picture(image: torch.Tensor, path: str | Path) -> Path:
    """Write one (C, H, W) picture, bytes or floats in [-1, 1], in colours as in `tile`.

    Returns:
        The path.

    Raises:
        DataError: it is none, or has NaN.
        FileError: it cannot be written there, or its ending is no format of pictures.
    """
    from PIL import Image

    return _save(Image.fromarray(tile(image[None], pad=0)), path)
