"""The command `dataset`: a verb a function, each in a file with those that go with it."""

from cli import command_line
from curation.bring import import_
from curation.check import check
from curation.pointing import fetch, point

app = command_line(
    "dataset",
    "Imports, checks and fetches datasets, and writes pointers to them.",
    [
        "./pants run src/python/dataset -- import archive.zip --to ./xrays",
        "./pants run src/python/dataset -- import ./nih --labels Data_Entry.csv --image-column 'Image Index' "
        "--label-column 'Finding Labels' --group-column 'Patient ID' --to ./xrays",
        "./pants run src/python/dataset -- check --dataset ./xrays --report check.html",
        "./pants run src/python/dataset -- check --dataset datasets/covid-radiography.dvc --previous 3 --json",
        "./pants run src/python/dataset -- fetch --dataset datasets/covid-radiography.dvc",
        "./pants run src/python/dataset -- point --dataset ./xrays datasets/xrays.toml",
    ],
)
app.command("import")(import_)
for verb in (check, fetch, point):
    app.command()(verb)
