// Sends each chosen image to the REST interface and draws what it answers.

import { UNAUTHORIZED, ask, askForToken, askingForToken, onToken, read, servedModel } from "/page/access.js";

const AT_ONCE = 4;
const TRIES = 4;
const element = (id) => document.getElementById(id);
const percent = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });

const queue = [];
let working = 0;
let asked = 0;
let answered = 0;

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
      .then((answer) => showAnswer(card, answer), (error) => showError(card, error.message))
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

async function classify(file, version) {
  const address = "/v1/classify" + (version ? `?version=${version}` : "");
  for (let tried = 1; ; tried += 1) {
    let response;
    try {
      // The bytes decide what it is, whatever the file is called.
      response = await ask(address, {
        method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" },
      });
    } catch {
      throw new Error("The server can't be reached.");
    }
    const answer = await read(response);
    if (response.ok) return answer;
    if (response.status === UNAUTHORIZED) {
      await askForToken(answer.detail);
      tried = 0;
      continue;
    }
    const wait = Number(response.headers.get("Retry-After"));
    if (!wait || tried === TRIES) throw new Error(answer.detail);
    await new Promise((resume) => setTimeout(resume, wait * 1000));
  }
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

function showAnswer(card, answer) {
  const likelihood = document.createElement("span");
  likelihood.textContent = percent.format(answer.scores[answer.label]);
  card.querySelector(".verdict").replaceChildren(answer.label, " ", likelihood);
  card.querySelector(".by").textContent = `${answer.model}, version ${answer.version}`;
  card.querySelector(".bars").replaceChildren(
    ...Object.entries(answer.scores).flatMap(([label, probability]) => bar(label, probability, label === answer.label)),
  );
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

function showError(card, message) {
  card.classList.add("failed");
  card.querySelector(".verdict").textContent = message;
}

async function showServed() {
  const served = element("served");
  try {
    const model = await servedModel();
    if (!model) {
      served.textContent = "";
      return;
    }
    const stable = model.version_labels.stable;
    if (!stable) throw new Error(`${model.model}: no version is served yet`);
    served.textContent = `${model.model}, version ${stable}`;
    served.classList.remove("wrong");
    tellWhatItKnows(model);
    offerVersions(model, stable);
  } catch (error) {
    served.textContent = error.message;
    served.classList.add("wrong");
  }
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

showServed();
onToken(showServed);
// A promotion changes what is served while the page is open.
setInterval(() => document.hidden || askingForToken() || showServed(), 10_000);
