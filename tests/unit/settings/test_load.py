import pytest

from cli import UsageError
from settings import Settings, load


def write(folder, text):
    (folder / "trainyard.toml").write_text(text)
    return folder


def test_defaults_hold_without_a_file(tmp_path):
    assert load(tmp_path, {}).gates == Settings().gates


def test_file_is_found_from_a_folder_below_and_paths_count_from_the_file(tmp_path):
    write(tmp_path, '[registry]\nuri = "models"\n')
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert load(below, {}).registry.uri == str(tmp_path / "models")


def test_variable_overrides_file(tmp_path):
    write(tmp_path, "[gates]\nmin_accuracy = 0.5\n")
    assert load(tmp_path, {"TRAINYARD_GATES_MIN_ACCURACY": "0.75"}).gates.min_accuracy == 0.75


@pytest.mark.parametrize("name", ["TRAINYARD_DATASET_URI", "TRAINYARD_MAIL_OWNER", "TRAINYARD_MAIL_SENDER"])
def test_variable_without_a_value_leaves_what_the_file_says(tmp_path, name):
    write(tmp_path, '[dataset]\nuri = "scans"\n[mail]\nowner = "us@example.com"\nsender = "yard@example.com"\n')
    assert load(tmp_path, {name: ""}) == load(tmp_path, {})
    # Of others nothing is an answer, as here: no server, so that mails go to the outbox.
    assert load(tmp_path, {"TRAINYARD_MAIL_SMTP_HOST": ""}).mail.smtp_host == ""


def test_list_variable_is_split_at_commas(tmp_path):
    assert load(tmp_path, {"TRAINYARD_SERVING_PODS": "a:1, b:2"}).serving.pods == ["a:1", "b:2"]


def test_unrelated_trainyard_variables_are_left_alone(tmp_path):
    load(tmp_path, {"TRAINYARD_SMTP_PASSWORD": "x", "TRAINYARD_XRAYS": "y"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[gates]\nmin_acuracy = 0.5\n", "unknown key 'gates.min_acuracy'; did you mean 'min_accuracy'?"),
        ("[gate]\nmin_accuracy = 0.5\n", "unknown key 'gate'; did you mean 'gates'?"),
        ("[gates]\nmin_accuracy = 1.5\n", "'gates.min_accuracy' is 1.5"),
        ('[model]\nname = "../x"\n', "'model.name' is '../x'"),
        ("gates = 3\n", "'gates' must be a section"),
        ("[gates\n", "is not valid TOML"),
    ],
)
def test_mistake_is_named_in_one_sentence(tmp_path, text, said):
    with pytest.raises(UsageError) as error:
        load(write(tmp_path, text), {})
    assert said in str(error.value)
    assert "trainyard.toml" in str(error.value)
    assert "\n" not in str(error.value)


def test_mistake_in_a_variable_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"gates\.min_accuracy"):
        load(tmp_path, {"TRAINYARD_GATES_MIN_ACCURACY": "high"})


def test_variable_of_a_section_that_names_no_field_is_a_mistake_with_a_suggestion(tmp_path):
    with pytest.raises(
        UsageError, match="TRAINYARD_GATES_MIN_ACURACY sets nothing: did you mean 'TRAINYARD_GATES_MIN_"
    ):
        load(tmp_path, {"TRAINYARD_GATES_MIN_ACURACY": "0.1"})


@pytest.mark.parametrize(
    "name",
    ["TRAINYARD_SERVING_SERVICE_HOST", "TRAINYARD_SERVING_PORT_8500_TCP_ADDR", "TRAINYARD_SERVING_SERVICE_PORT_GRPC"],
)
def test_what_kubernetes_tells_of_services_is_no_setting(tmp_path, name):
    load(tmp_path, {name: "10.0.0.1"})


def test_list_written_as_json_is_told_to_use_commas(tmp_path):
    with pytest.raises(UsageError, match="separated by commas"):
        load(tmp_path, {"TRAINYARD_SERVING_PODS": '["a:1"]'})
