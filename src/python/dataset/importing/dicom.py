"""A DICOM file to the picture in it. Nothing else of the file goes any further: no name, no number, no text."""

import contextlib
import io
import logging
import warnings

import numpy as np
import pydicom
from pydicom import uid
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi, get_decoder, pixel_array

from dataset.importing.account import LeftOut
from imaging import DEFAULT
from imaging.array import encode_png

MAGIC = b"DICM"
MAGIC_AT = 128  # bytes
MAX_BYTES = 512 << 20
SUFFIXES = (".dcm", ".dicom")
# pydicom's messages quote the values that it wonders about, which may be a patient's.
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
warnings.filterwarnings("ignore", module=r"pydicom\.")
with contextlib.suppress(ImportError):
    import gdcm  # the decoder of JPEG Lossless and JPEG-LS

    for quiet in (gdcm.Trace.DebugOff, gdcm.Trace.WarningOff, gdcm.Trace.ErrorOff):
        quiet()


def is_dicom(start: bytes) -> bool:
    return start[MAGIC_AT : MAGIC_AT + len(MAGIC)] == MAGIC


def convert(data: bytes) -> tuple[bytes, str]:
    """The picture as a PNG of 8 bits, as a radiologist's screen would show it, and who the patient is.

    The second is "" where the file does not tell; it is for grouping alone, and goes nowhere as it is.

    Raises:
        LeftOut: the file holds no single picture that can be read here. No text of the file is in the reason.
    """
    try:
        found = pydicom.dcmread(io.BytesIO(data), force=True)  # old files lack the first 132 bytes
        picture = _picture(found)
        patient = str(found.get("PatientID") or found.get("StudyInstanceUID") or "").strip()
    except (LeftOut, MemoryError):
        raise
    # A damaged file makes pydicom raise almost anything, and its texts quote values.
    except Exception:
        raise LeftOut("damaged DICOM") from None
    return encode_png(picture), patient


def _picture(found: pydicom.Dataset) -> np.ndarray:
    if "PixelData" not in found:
        raise LeftOut("DICOM without a picture")
    if int(found.get("NumberOfFrames") or 1) > 1:
        raise LeftOut("DICOM of several frames")
    if str(found.get("BurnedInAnnotation", "")).upper() == "YES":
        raise LeftOut("DICOM with text burned into the picture, which may name the patient")
    if found.Rows * found.Columns > DEFAULT.max_pixels:
        raise LeftOut(f"DICOM of more than {DEFAULT.max_pixels} pixels")
    samples = _decoded(found)
    kind = found.PhotometricInterpretation
    if kind == "PALETTE COLOR":
        samples = apply_color_lut(samples, found)
    if samples.ndim == 3:
        return samples if samples.dtype == np.uint8 else _levels(samples, samples.min(), samples.max())
    shown = _windowed(apply_modality_lut(samples, found), samples, found)
    return 255 - shown if kind == "MONOCHROME1" else shown


def _decoded(found: pydicom.Dataset) -> np.ndarray:
    """The stored samples, [H, W] or [H, W, 3]; YBR becomes RGB."""
    if "TransferSyntaxUID" not in found.file_meta:
        implicit, little = found.original_encoding
        found.file_meta.TransferSyntaxUID = (
            uid.ImplicitVRLittleEndian
            if implicit
            else uid.ExplicitVRLittleEndian
            if little
            else uid.ExplicitVRBigEndian
        )
    syntax = found.file_meta.TransferSyntaxUID
    # A name that the standard gives; a number of the file's own is nobody's business.
    name = syntax.name if syntax in uid.UID_dictionary else "a private syntax"
    try:
        readable = get_decoder(syntax).is_available
    except NotImplementedError:
        readable = False
    if not readable:
        raise LeftOut(f"DICOM compressed by {name}, for which there is no decoder here")
    try:
        return pixel_array(found)
    except MemoryError:
        raise
    except Exception:
        raise LeftOut(f"DICOM whose pixels ({name}) can't be decoded") from None


def _windowed(values: np.ndarray, samples: np.ndarray, found: pydicom.Dataset) -> np.ndarray:
    """uint8: the part of the range that the file says is to be seen, or else all that is there (DICOM PS3.3 C.11.2)."""
    if found.get("VOILUTSequence"):
        bits = int(found.VOILUTSequence[0].LUTDescriptor[2])
        return _levels(apply_voi(values.astype(np.int64), found, 0), 0, (1 << bits) - 1)
    centre, width = (_first(found.get(name)) for name in ("WindowCenter", "WindowWidth"))
    function = str(found.get("VOILUTFunction") or "LINEAR")
    if centre is not None and width is not None and (width > 1 or (width > 0 and function != "LINEAR")):
        if function == "SIGMOID":
            return _levels(1 / (1 + np.exp(-4 * (values - centre) / width)), 0, 1)
        half, middle = (width / 2, centre) if function == "LINEAR_EXACT" else ((width - 1) / 2, centre - 0.5)
        return _levels(values, middle - half, middle + half)
    # What pads the picture to a rectangle is no part of its range.
    padding = found.get("PixelPaddingValue")
    inside = values[samples != padding] if padding is not None else values
    inside = inside if inside.size else values
    return _levels(values, inside.min(), inside.max())


def _levels(values: np.ndarray, black: float, white: float) -> np.ndarray:
    span = max(float(white) - float(black), 1e-9)
    return np.rint((np.clip(values, black, white) - float(black)) * (255 / span)).astype(np.uint8)


def _first(value: object) -> float | None:
    """The first of several windows that a file may offer."""
    if isinstance(value, pydicom.multival.MultiValue):
        value = value[0] if len(value) else None
    return None if value is None else float(str(value))
