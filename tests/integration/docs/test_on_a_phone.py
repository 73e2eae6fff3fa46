"""What an owner reads on a phone, drawn by a real browser: names are whole, and nobody scrolls sideways."""

import shutil

import pytest
from playwright.sync_api import sync_playwright

import notify
from tests.unit.notify.test_message import VERDICT, record, sent

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed (Debian: apt-get install chromium)")
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
PHONE = {"width": 390, "height": 844}
NAMES = {
    "short": ["COVID", "Normal", "Viral Pneumonia"],
    "of long words": ["Pneumothorax_with_effusion", "Cardiomegaly-and-more", "Normal"],
    "many": [f"class {number}" for number in range(10)],
    "of one long word": ["Bronchopneumopathien", "hepatosplenomegaly", "Normal"],
}
# The words of names that are drawn in two lines.
BROKEN = """names => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    for (const name of names) for (const word of name.split(/ |(?<=[a-z])-/)) {
      const at = node.data.indexOf(word);
      if (at < 0) continue;
      const range = document.createRange();
      range.setStart(node, at);
      range.setEnd(node, at + word.length);
      if (new Set([...range.getClientRects()].map(box => Math.round(box.top))).size > 1) found.push(word);
    }
  }
  return found;
}"""


@pytest.fixture(scope="module")
def page():
    with sync_playwright() as play, play.chromium.launch(executable_path=BROWSER, args=FLAGS) as browser:
        yield browser.new_page(viewport=PHONE)


def figures(labels):
    one = {"precision": 0.912, "recall": 0.925, "f1": 0.918, "support": 20}
    return {
        "accuracy": 0.925,
        "images": 60,
        "per_class": {label: one for label in labels},
        "confusion": [[20 if row == column else 0 for column in labels] for row in labels],
    }


@pytest.mark.parametrize("picture", [b"no picture", None], ids=["with a picture", "with a table"])
@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES.keys())
def test_names_of_classes_in_a_mail_are_whole(page, names, picture):
    evaluation = {"accuracy_interval": [0.74, 0.921], "recall_intervals": {name: [0.6, 0.925] for name in names}}
    new = record(labels=names, metrics={"test": figures(names), "baseline": figures(names)}, evaluation=evaluation)
    old = record(3, labels=names, metrics={"test": figures(names)})
    mail = notify.candidate_passed(new, VERDICT | {"passed": True}, old, picture=picture)
    page.set_content(sent(mail).get_body(("html",)).get_content())
    assert page.evaluate(BROKEN, names) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
