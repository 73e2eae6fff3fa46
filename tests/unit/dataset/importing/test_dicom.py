import io
import logging
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from dataset.importing.account import LeftOut
from dataset.importing.dicom import convert
from tests.unit.dataset.conftest import png
from tests.unit.dataset.importing.conftest import SECRETS, dicom, names, reasons

RAMP = np.arange(40 * 50, dtype=np.uint16).reshape(40, 50)
THEIRS = Path(pydicom.__file__).parent / "data" / "test_files"


def other(number):
    return np.roll(RAMP, 7 * number)


def picture(path):
    return np.asarray(Image.open(io.BytesIO(convert(path.read_bytes())[0])))


def left_out(path):
    with pytest.raises(LeftOut) as reason:
        convert(path.read_bytes())
    return str(reason.value)


def test_window_decides_what_is_black_and_white(tmp_path):
    shown = picture(dicom(tmp_path / "w.dcm", RAMP, WindowCenter=1000.5, WindowWidth=501))
    flat, out = RAMP.ravel(), shown.ravel()
    assert (out[flat <= 750] == 0).all() and (out[flat >= 1250] == 255).all()
    assert abs(int(out[1000]) - 128) <= 1
    # Of several windows the first.
    assert np.array_equal(
        shown, picture(dicom(tmp_path / "m.dcm", RAMP, WindowCenter=[1000.5, 9], WindowWidth=[501, 3]))
    )


def test_window_counts_after_the_rescaling_of_the_file(tmp_path):
    plain = picture(dicom(tmp_path / "a.dcm", RAMP, WindowCenter=1000, WindowWidth=500))
    scaled = dicom(
        tmp_path / "b.dcm", RAMP, WindowCenter=2000 - 1024, WindowWidth=1000, RescaleSlope=2, RescaleIntercept=-1024
    )
    assert np.abs(picture(scaled).astype(int) - plain).max() <= 1


def test_without_a_window_all_that_is_there_is_shown_but_padding(tmp_path):
    shown = picture(dicom(tmp_path / "a.dcm", RAMP + 500))
    assert (shown.min(), shown.max()) == (0, 255)
    padded = RAMP + 500
    padded[:, :5] = 0
    assert picture(dicom(tmp_path / "b.dcm", padded, PixelPaddingValue=0))[-1, 6] > 240
    assert picture(dicom(tmp_path / "b.dcm", padded, PixelPaddingValue=0))[0, 6] < 10


def test_monochrome1_is_inverted(tmp_path):
    usual = picture(dicom(tmp_path / "a.dcm", RAMP))
    inverted = picture(dicom(tmp_path / "b.dcm", RAMP, PhotometricInterpretation="MONOCHROME1"))
    assert np.array_equal(inverted, 255 - usual)


def test_colours_stay(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(picture(dicom(tmp_path / "a.dcm", colours)), colours)


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_RLE.dcm",  # RLE
        "MR_small_jpeg_ls_lossless.dcm",  # JPEG-LS
        "MR_small_jp2klossless.dcm",  # JPEG 2000
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
    ],
)
def test_compressed_files_show_what_the_plain_one_shows(name):
    assert np.array_equal(picture(THEIRS / name), picture(THEIRS / "MR_small.dcm"))


@pytest.mark.parametrize(
    "name", ["SC_rgb_jpeg_dcmtk.dcm", "image_dfl.dcm", "examples_palette.dcm", "ExplVR_BigEnd.dcm"]
)
def test_other_kinds_that_decoders_know_are_read(name):
    assert picture(THEIRS / name).std() > 5


@pytest.mark.parametrize("syntax", ["JPEGLosslessProcess14", "JPEGLosslessProcess14_1", "JPEGLSLossless"])
def test_what_hospitals_compress_without_loss_is_read(tmp_path, syntax):
    import gdcm

    plain = dicom(tmp_path / "plain.dcm", RAMP, WindowCenter=1000, WindowWidth=900)
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(plain))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(tmp_path / "compressed.dcm"))
    assert writer.Write()
    assert pydicom.dcmread(tmp_path / "compressed.dcm").file_meta.TransferSyntaxUID.is_compressed
    assert np.array_equal(picture(tmp_path / "compressed.dcm"), picture(plain))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("SC_rgb_rle_2frame.dcm", "DICOM of several frames"),
        ("rtplan.dcm", "DICOM without a picture"),
        ("JPGExtended.dcm", "DICOM whose pixels (JPEG Extended (Process 2 and 4)) can't be decoded"),
        ("MR_truncated.dcm", "can't be decoded"),
    ],
)
def test_what_can_not_be_read_is_said_by_kind(name, said):
    assert said in left_out(THEIRS / name)


def test_text_in_the_picture_and_other_syntaxes_are_left_out(tmp_path):
    assert "burned into the picture" in left_out(dicom(tmp_path / "a.dcm", RAMP, BurnedInAnnotation="YES"))
    data = (THEIRS / "MR_small_RLE.dcm").read_bytes()
    private = data.replace(b"1.2.840.10008.1.2.5\0", b"1.2.840.99999.1.2.5\0")
    assert private != data
    (tmp_path / "b.dcm").write_bytes(private)
    assert left_out(tmp_path / "b.dcm") == "DICOM compressed by a private syntax, for which there is no decoder here"
    (tmp_path / "c.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 300)
    assert left_out(tmp_path / "c.dcm") in ("damaged DICOM", "DICOM without a picture")


def test_nothing_of_a_patient_is_in_what_is_written_or_said(tmp_path, imported, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    source = tmp_path / "src"
    for number in range(4):
        dicom(source / "A" / f"{number}.dcm", other(number), patient=f"{SECRETS[1]}-{number // 2}")
        dicom(source / "B" / f"{number}", other(9 + number), patient=f"{SECRETS[1]}-{number // 2 + 1}")
    # One that pydicom has something to say of.
    bad = dicom(source / "B" / "bad.dcm", other(20))
    bad.write_bytes(bad.read_bytes().replace(b"1.2.3.4711", b"1.x.3.4711"))
    account = imported(source)
    target = tmp_path / "target"
    assert account.images == 9
    # Patients 0, 1, 2 and the bad one's.
    assert len(account.groups) == 4
    said = caplog.text + "".join(capfd.readouterr()) + str(account.reasons(99)) + "".join(names(target))
    for file in target.rglob("*.png"):
        said += file.read_bytes().decode("latin-1")
        with Image.open(file) as image:
            assert image.info == {} and image.mode == "L"
    assert not [secret for secret in (*SECRETS, "4711") if secret in said]
    # One patient of both classes has one name.
    folders = {label: {p.parent.name for p in (target / label).rglob("*.png")} for label in "AB"}
    assert len(folders["A"] & folders["B"]) == 1


def test_files_are_listed_as_left_out_with_their_kind(tmp_path, imported):
    source = tmp_path / "src"
    for number in range(3):
        dicom(source / "A" / f"{number}.dcm", other(number))
        dicom(source / "B" / f"{number}.dcm", other(9 + number))
    (source / "B" / "frames.dcm").write_bytes((THEIRS / "SC_rgb_rle_2frame.dcm").read_bytes())
    account = imported(source)
    assert reasons(account) == {"DICOM of several frames": 1} and account.images == 6


@pytest.mark.parametrize("packed", [False, True])
def test_names_that_scanners_give_are_read_from_a_folder_and_an_archive(tmp_path, imported, packed):
    source = tmp_path / "src"
    for number in range(3):
        dicom(source / "A" / f"1.2.840.{number}", other(number))
        dicom(source / "B" / f"1.2.840.{number}", other(9 + number))
    account = imported(Path(shutil.make_archive(str(tmp_path / "all"), "zip", source)) if packed else source)
    assert account.images == 6 and not reasons(account)


def test_patient_in_two_forms_of_unicode_has_one_name(tmp_path, imported):
    source = tmp_path / "src"
    for number, form in enumerate(("NFC", "NFD")):
        file = source / "AB"[number] / unicodedata.normalize(form, "J\u00fcrg") / f"{number}.png"
        file.parent.mkdir(parents=True)
        file.write_bytes(png(number))
    assert len(imported(source, groups="folder").groups) == 1
