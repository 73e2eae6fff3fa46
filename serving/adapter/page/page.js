// Sends each chosen image to the REST interface and draws what it answers.

import { about } from "/page/about.js";
import { Refused, ask, askingForToken, onToken, patiently, servedModel, tell } from "/page/access.js";
import { offerHeat } from "/page/heat.js";

const AT_ONCE = 4;
const TRIES = 4;
const element = (id) => document.getElementById(id);
const percent = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });

const queue = [];
let working = 0;
let asked = 0;
let answered = 0;
let served = null;

document.documentElement.classList.add("js");

element("images").addEventListener("change", (event) => {
  add(event.target.files);
  // So that the same file can be chosen again.
  event.target.value = "";
});
element("form").addEventListener("submit", (event) => event.preventDefault());
element("clear").addEventListener("click", () => {
  queue.length = 0;
  asked = answered = 0;
  element("results").replaceChildren();
  element("progress").textContent = "";
  element("clear").hidden = true;
  element("images").focus();
});

// The input covers its field; a drop beside it must not make the browser leave the page for the image.
for (const kind of ["dragover", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    element("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") add(event.dataTransfer.files);
  });
}
document.addEventListener("dragleave", () => element("drop").classList.remove("over"));

function add(files) {
  const cards = [...files].map((file) => {
    const card = newCard(file);
    queue.push({ file, card, version: element("version").value });
    return card;
  });
  asked += cards.length;
  // In the files' order, below what is there already.
  element("results").append(...cards);
  if (cards.length) {
    element("clear").hidden = false;
    cards[0].scrollIntoView({ block: "nearest" });
  }
  work();
}

function work() {
  while (working < AT_ONCE && queue.length) {
    working += 1;
    const { file, card, version } = queue.shift();
    classify(file, version)
      .then((answer) => showAnswer(card, answer, file), (error) => showError(card, error))
      .finally(() => {
        working -= 1;
        answered += card.isConnected ? 1 : 0;
        tellProgress();
        work();
      });
  }
  tellProgress();
}

function tellProgress() {
  if (!asked) return;
  const images = asked === 1 ? "image" : "images";
  element("progress").textContent =
    answered < asked ? `${answered} of ${asked} ${images} done…` : `${asked} ${images} done.`;
}

function classify(file, version) {
  // The bytes decide what it is, whatever the file is called.
  return patiently("/v1/classify" + (version ? `?version=${version}` : ""), posted(file), TRIES);
}

function posted(file) {
  return { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } };
}

function newCard(file) {
  const card = element("card").content.cloneNode(true).firstElementChild;
  const picture = card.querySelector(".picture");
  const address = URL.createObjectURL(file);
  picture.onload = () => URL.revokeObjectURL(address);
  picture.onerror = () => {
    URL.revokeObjectURL(address);
    picture.classList.add("none");
  };
  picture.src = address;
  card.querySelector(".file").textContent = file.name;
  return card;
}

function showAnswer(card, answer, file) {
  const likelihood = document.createElement("span");
  likelihood.textContent = percent.format(answer.scores[answer.label]);
  card.querySelector(".verdict").replaceChildren(answer.label, " ", likelihood);
  card.querySelector(".by").textContent = `${answer.model}, version ${answer.version}`;
  card.querySelector(".bars").replaceChildren(
    ...Object.entries(answer.scores).flatMap(([label, probability]) => bar(label, probability, label === answer.label)),
  );
  // Of the version that answered, whichever is asked by now.
  if (served?.explains) {
    offerHeat(card, () => patiently(`/v1/explain?version=${answer.version}`, posted(file), TRIES), file.name);
  }
}

function bar(label, probability, best) {
  const name = document.createElement("dt");
  name.textContent = label;
  const value = document.createElement("dd");
  const track = document.createElement("div");
  track.className = "track";
  const filled = document.createElement("span");
  filled.style.width = `${100 * probability}%`;
  track.append(filled);
  const number = document.createElement("span");
  number.className = "percent";
  number.textContent = percent.format(probability);
  value.append(track, number);
  for (const part of [name, value]) part.classList.toggle("best", best);
  return [name, value];
}

function showError(card, error) {
  card.classList.add("failed");
  tell(card.querySelector(".verdict"), error);
}

async function showServed() {
  const place = element("served");
  try {
    const model = await servedModel();
    if (!model) {
      place.textContent = "";
      return;
    }
    served = model;
    const stable = model.version_labels.stable;
    if (!stable) {
      throw new Refused({ detail: `${model.model}: no version is served yet.`, help: "/problems/unavailable" });
    }
    place.textContent = `${model.model}, version ${stable}`;
    place.classList.remove("wrong");
    tellWhatItKnows(model);
    offerVersions(model, stable);
    tellAbout();
  } catch (error) {
    tell(place, error);
    place.classList.add("wrong");
  }
}

// Of the version that is asked.
function tellAbout() {
  const number = Number(element("version").value) || served.version_labels.stable;
  const place = element("about");
  place.hidden = false;
  const open = place.querySelector("details")?.open;
  const told = JSON.stringify([number, served.versions.find((one) => one.version === number)?.about]);
  // Drawn anew only where it changed: whoever reads or has it read goes on.
  if (place.dataset.told === told) return;
  place.dataset.told = told;
  place.replaceChildren(...about(number, served.versions.find((one) => one.version === number)?.about));
  const details = place.querySelector("details");
  if (details && open) details.open = true;
}

async function offerExamples() {
  const response = await ask("/v1/examples").catch(() => null);
  if (!response?.ok) return;
  const { drawn, examples } = await response.json();
  element("examples-title").textContent = drawn ? "Or try a drawn example (nobody's picture):" : "Or try an example:";
  const buttons = await Promise.all(examples.map(offered));
  element("examples").querySelector("ul").replaceChildren(...buttons.filter(Boolean));
  element("examples").hidden = !examples.length;
}

async function offered({ name, address }) {
  const response = await ask(address).catch(() => null);
  if (!response?.ok) return null;
  const file = new File([await response.blob()], name);
  const button = document.createElement("button");
  button.type = "button";
  const picture = document.createElement("img");
  picture.alt = "";
  picture.src = URL.createObjectURL(file);
  picture.onload = () => URL.revokeObjectURL(picture.src);
  button.append(picture, name.replace(/\.[^.]*$/, ""));
  button.addEventListener("click", () => add([file]));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function tellWhatItKnows(model) {
  document.title = `${model.model}: classify images`;
  const colour = model.channels === 3 ? "in colour" : "in shades of gray";
  element("classes").textContent = `Seen ${colour}, as one of: ${model.labels.join(", ")}.`;
  element("classes").hidden = !model.labels.length;
}

function offerVersions(model, stable) {
  const others = model.versions.filter((one) => one.state === "AVAILABLE" && one.version !== stable);
  const select = element("version");
  const chosen = select.value;
  select.replaceChildren(
    new Option(`${stable} (stable)`, ""),
    ...others.map(({ version }) =>
      new Option(version === model.version_labels.previous ? `${version} (previous)` : version, version)),
  );
  select.value = [...select.options].some((option) => option.value === chosen) ? chosen : "";
  element("choice").hidden = !others.length;
}

element("version").addEventListener("change", tellAbout);
showServed();
offerExamples();
onToken(showServed);
onToken(offerExamples);
// A promotion changes what is served while the page is open.
setInterval(() => document.hidden || askingForToken() || showServed(), 10_000);
