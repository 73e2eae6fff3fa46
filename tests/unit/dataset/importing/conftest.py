from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.dataset import FileDataset, FileMetaDataset

from dataset.importing.run import Wanted, run

# What must appear nowhere.
SECRETS = ("Doe^Jane", "PAT-4711", "Dr. Foobar", "19700101", "Saint Elsewhere")


def dicom(path: Path, pixels: np.ndarray, patient: str = SECRETS[1], **values: object) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = uid.DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = uid.generate_uid()
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    found = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    found.PatientName, found.PatientID = SECRETS[0], patient
    found.ReferringPhysicianName, found.PatientBirthDate, found.InstitutionName = SECRETS[2:]
    found.SOPClassUID, found.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    found.StudyInstanceUID = "1.2.3.4711"
    found.Rows, found.Columns = pixels.shape[:2]
    found.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    found.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    found.BitsAllocated = found.BitsStored = 8 * pixels.itemsize
    found.HighBit = found.BitsStored - 1
    found.PixelRepresentation = 0
    if pixels.ndim == 3:
        found.PlanarConfiguration = 0
    found.PixelData = pixels.tobytes()
    for name, value in values.items():
        setattr(found, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, found, enforce_file_format=True)
    return path


@pytest.fixture
def imported(tmp_path):
    """imported(source, …): an import into tmp_path/target; returns its account."""

    def call(source: Path, **how: object):
        how.setdefault("target", tmp_path / "target")
        how.setdefault("group_key", tmp_path / "groups.key")
        return run(Wanted(source, **how), lambda done, total: None)

    return call


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def reasons(account) -> dict[str, int]:
    return {one["reason"]: one["count"] for one in account.reasons(9)}
