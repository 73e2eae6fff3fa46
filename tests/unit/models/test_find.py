import pytest

import models
from cli import UsageError

XRAY = 'task = "one label"\nfamily = "residual"\n'


def yard(folder, settings="", **files):
    """A repository with model folders; `files` are called like "digits/model.toml"."""
    (folder / "trainyard.toml").write_text(settings)
    for name, text in ({"chest_xray/model.toml": XRAY} | files).items():
        if text is not None:
            path = folder / "models" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return folder


def test_name_is_the_folders_with_dashes(tmp_path):
    yard(tmp_path)
    assert [model.name for model in models.known(tmp_path)] == ["chest-xray"]
    assert models.find("chest-xray", tmp_path).folder == tmp_path / "models" / "chest_xray"


def test_models_are_found_from_a_folder_below(tmp_path):
    yard(tmp_path)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert models.find(start=below).name == "chest-xray"


def test_usual_model_is_the_one_of_the_settings(tmp_path):
    yard(tmp_path, '[model]\nname = "leaves"\n', **{"leaves/model.toml": XRAY})
    assert models.find(start=tmp_path, environment={}).name == "leaves"


def test_only_model_is_the_usual_one(tmp_path):
    yard(tmp_path, **{"chest_xray/model.toml": None, "leaves/model.toml": XRAY})
    assert models.find(start=tmp_path, environment={}).name == "leaves"


def test_unknown_model_lists_those_there_are(tmp_path):
    yard(tmp_path, **{"leaves/model.toml": XRAY})
    with pytest.raises(UsageError, match="no model 'lungs'; those there are: chest-xray, leaves"):
        models.find("lungs", tmp_path)


def test_two_folders_of_one_name_are_refused(tmp_path):
    yard(tmp_path, **{"a_b/model.toml": XRAY, "a-b/model.toml": XRAY})
    with pytest.raises(UsageError, match="both called 'a-b'"):
        models.known(tmp_path)


def test_folder_whose_name_can_be_none_is_refused(tmp_path):
    yard(tmp_path, **{"Leaves/model.toml": XRAY})
    with pytest.raises(UsageError, match="can't be a model's folder"):
        models.known(tmp_path)


def test_name_that_an_earlier_version_was_given_is_made_from_the_first_models_files(tmp_path):
    yard(tmp_path, '[model]\nname = "lungs"\n[dataset]\nuri = "xrays"\n', **{"digits/model.toml": XRAY})
    found = models.find(start=tmp_path, environment={})
    assert (found.name, found.folder.name) == ("lungs", "chest_xray")
    assert found.settings.model.name == "lungs"
    assert found.settings.dataset.uri == str(tmp_path / "xrays")
    assert "No folder of models/ is called 'lungs'" in found.notes["model"]
    assert [model.name for model in models.known(tmp_path, {})] == ["digits", "lungs"]


def test_name_of_an_earlier_version_may_come_from_its_variable_or_flag(tmp_path, monkeypatch):
    yard(tmp_path)
    assert models.find(start=tmp_path, environment={"TRAINYARD_MODEL_NAME": "lungs"}).name == "lungs"
    monkeypatch.setattr("sys.argv", ["train", "--model-name=hearts"])
    assert models.find("hearts", tmp_path).name == "hearts"


def test_models_own_files_come_before_the_yards_and_variables_before_both(tmp_path):
    settings = '[gates]\nmin_accuracy = 0.5\nmin_recall = 0.4\n[mail]\nowner = "all@x"\n[dataset]\nuri = "xrays"\n'
    limits = '[gates]\nmin_accuracy = 0.9\n[mail]\nowner = "leaf@x"\n'
    own = XRAY + '[dataset]\nuri = "datasets/leaves.toml"\n'
    yard(tmp_path, settings, **{"leaves/model.toml": own, "leaves/limits.toml": limits})
    leaves = models.find("leaves", tmp_path, {}).settings
    assert (leaves.gates.min_accuracy, leaves.gates.min_recall, leaves.mail.owner) == (0.9, 0.4, "leaf@x")
    assert leaves.dataset.uri == str(tmp_path / "datasets/leaves.toml")
    first = models.find("chest-xray", tmp_path, {}).settings
    assert (first.gates.min_accuracy, first.mail.owner, first.dataset.uri) == (0.5, "all@x", str(tmp_path / "xrays"))
    told = {"TRAINYARD_GATES_MIN_ACCURACY": "0.7"}
    assert models.find("leaves", tmp_path, told).settings.gates.min_accuracy == 0.7


def test_what_a_model_replaces_is_told_in_a_line_a_section_to_commands_that_go_by_it(tmp_path):
    limits = "[gates]\nmin_accuracy = 0.9\nmin_recall = 0.4\n[mail]\nowner = 'b@x'\n[tests]\nmax_p95_ms = 900\n"
    usual = "[gates]\nmin_accuracy = 0.5\nmin_recall = 0.3\n[mail]\nowner = 'a@x'\n[tests]\nmax_p95_ms = 900\n"
    yard(tmp_path, usual, **{"chest_xray/limits.toml": limits})
    notes = models.find("chest-xray", tmp_path).notes
    assert set(notes) == {"gates", "mail"}
    (note,) = models.concerning(notes, "dataset", "gates")
    assert "limits.toml says min_accuracy = 0.9 and min_recall = 0.4 in [gates]" in note
    assert "trainyard.toml says 0.5 and 0.3 for other models" in note
    assert models.concerning(notes) == []


def test_own_network_takes_the_place_of_a_family(tmp_path):
    yard(
        tmp_path, **{"leaves/model.toml": 'task = "one label"\n', "leaves/network.py": "", "leaves/tests/test_a.py": ""}
    )
    found = models.find("leaves", tmp_path)
    assert (found.family, found.network_file) == ("", tmp_path / "models/leaves/network.py")
    assert found.tests == tmp_path / "models/leaves/tests"


def test_input_and_changes_are_read(tmp_path):
    text = XRAY + '[input]\nsize = 64\nchannels = "rgb"\noblong = "crop"\n[changes]\nmirror = false\nturn = 3\n'
    yard(tmp_path, **{"leaves/model.toml": text})
    found = models.find("leaves", tmp_path)
    assert (found.input.shape, found.input.oblong, found.input.white) == ((64, 64, 3), "crop", 65535)
    assert (found.changes.mirror, found.changes.turn, found.changes.shift) == (False, 3, 0.08)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'task' is missing"),
        ('task = "several labels"\nfamily = "residual"\n', "the one task that can be trained is 'one label'"),
        ('task = "one label"\n', "names no family, and there is no network.py"),
        (XRAY + "[input]\nsize = 4\n", "'input.size' is 4"),
        (XRAY + '[input]\nchannels = "cmyk"\n', "'input.channels' is 'cmyk'"),
        (XRAY + "[input]\nsise = 64\n", "unknown key 'input.sise'; did you mean 'size'?"),
        (XRAY + "[changes]\nmirrored = true\n", "'mirrored' is not a change; known are mirror, turn"),
        (XRAY + "[changes]\nmirror = 1\n", "mirror must be true or false"),
        (XRAY + "[changes]\nturn = 400\n", "Expected turn between 0 and 180"),
        (XRAY + '[dataset]\nurl = "x"\n', "unknown key 'dataset.url'; did you mean 'uri'?"),
        ("familiy = 1\n" + XRAY, "unknown key 'familiy'; did you mean 'family'?"),
        (XRAY + "[input\n", "is not valid TOML"),
        ("input = 3\n" + XRAY, "'input' must be a section"),
    ],
)
def test_mistake_in_a_models_file_is_one_sentence_that_names_it(tmp_path, text, said):
    yard(tmp_path, **{"leaves/model.toml": text})
    with pytest.raises(UsageError) as error:
        models.find("leaves", tmp_path)
    assert said in str(error.value)
    assert "leaves/model.toml" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[gates]\nmin_acuracy = 0.9\n", "unknown key 'gates.min_acuracy'; did you mean 'min_accuracy'?"),
        ("[registry]\nuri = 'x'\n", "unknown key 'registry'"),
        ("[mail]\nsmtp_host = 'x'\n", "mail"),
        ("[gates]\nmin_accuracy = 2\n", "'gates.min_accuracy' is 2"),
    ],
)
def test_limits_hold_what_may_differ_from_model_to_model(tmp_path, text, said):
    yard(tmp_path, **{"leaves/model.toml": XRAY, "leaves/limits.toml": text})
    with pytest.raises(UsageError) as error:
        models.find("leaves", tmp_path)
    assert said in str(error.value)
    assert "limits.toml" in str(error.value)


def test_family_beside_a_network_of_its_own_is_refused(tmp_path):
    yard(tmp_path, **{"leaves/model.toml": XRAY, "leaves/network.py": ""})
    with pytest.raises(UsageError, match="remove one of the two"):
        models.find("leaves", tmp_path)


def test_without_a_repository_the_packaged_models_are_found(tmp_path, monkeypatch):
    packaged = tmp_path / "site"
    packaged.mkdir()
    yard(packaged)
    (packaged / "trainyard.toml").unlink()
    monkeypatch.setattr("sys.path", [str(packaged)])
    away = tmp_path / "away"
    away.mkdir()
    assert models.find(start=away).folder == packaged / "models" / "chest_xray"


def test_models_that_ship_can_be_read():
    shipped = {model.name: model for model in models.known()}
    assert {"chest-xray", "digits"} <= set(shipped)
    # An upgraded yard's own dataset, gates and owner must not be replaced by what ships.
    assert shipped["chest-xray"].notes == {}
    assert not shipped["digits"].changes.mirror
