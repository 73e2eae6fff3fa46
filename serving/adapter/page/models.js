// Draws the versions that the adapter knows of, and what it has counted for each of them since it started.

import { about, accuracy } from "/page/about.js";
import { Refused, ask, askingForToken, onToken, servedModel, tell } from "/page/access.js";

const EVERY_MS = 5_000;
const SAMPLE = /^(\w+)\{(.*)\} (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const element = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en");

async function show() {
  const served = element("served");
  try {
    const model = await servedModel();
    if (!model) {
      served.textContent = "";
      return;
    }
    draw(model, await counted());
    const stable = model.version_labels.stable;
    if (!stable) {
      throw new Refused({ detail: `${model.model}: no version is served yet.`, help: "/problems/unavailable" });
    }
    served.textContent = `${model.model}, version ${stable}`;
    served.classList.remove("wrong");
  } catch (error) {
    tell(served, error);
    served.classList.add("wrong");
  }
}

// The samples of Prometheus' text format as {name, labels, value}; null where they are not told here.
async function counted() {
  const response = await ask("/metrics");
  if (!response.ok) return null;
  return (await response.text()).split("\n").flatMap((line) => {
    const found = SAMPLE.exec(line);
    if (!found) return [];
    const labels = Object.fromEntries([...found[2].matchAll(LABEL)].map(([, name, value]) => [name, plain(value)]));
    return [{ name: found[1], labels, value: Number(found[3]) }];
  });
}

function plain(value) {
  return value.replace(/\\(.)/g, (_, escaped) => (escaped === "n" ? "\n" : escaped));
}

function draw(model, samples) {
  document.title = `${model.model}: what is being served`;
  element("name").textContent = model.model;
  element("takes").textContent = model.image_size ? takes(model) : "";
  const table = element("versions");
  table.hidden = !model.versions.length;
  table.querySelector("caption").textContent = samples
    ? "Counted by this adapter alone, since it started."
    : "What was counted is not told here; with --metrics-port it is at that port.";
  tellAbouts(model);
  const labels = Object.entries(model.version_labels);
  table.querySelector("tbody").replaceChildren(
    ...[...model.versions].sort((one, other) => other.version - one.version).map(({ version, state, error, about: told }) => {
      const names = labels.filter(([, labelled]) => labelled === version).map(([name]) => name);
      return row(
        cells(version, names, error ? `${state}: ${error}` : state, figures(samples, String(version)), told),
        names.includes("stable"),
      );
    }),
  );
}

function cells(version, names, state, [answered, failed, mean, answers], told) {
  const known = told ? accuracy(told) : state === "AVAILABLE" ? "not told" : "";
  return [version, names.join(", "), state, answered, failed, mean, known, answers];
}

// Of the versions that can be asked, in the table's order.
function tellAbouts(model) {
  const place = element("abouts");
  const loaded = model.versions.filter((one) => one.state === "AVAILABLE").sort((one, other) => other.version - one.version);
  const told = JSON.stringify(loaded);
  if (place.dataset.told === told) return;
  place.dataset.told = told;
  place.replaceChildren(
    ...loaded.map((one) => {
      const section = document.createElement("div");
      section.className = "about";
      section.append(...about(one.version, one.about));
      return section;
    }),
  );
}

function takes(model) {
  const colour = model.channels === 3 ? "in colour" : "in shades of gray";
  const size = `${model.image_size} × ${model.image_size} pixels`;
  return `Sees a picture as ${size} ${colour}, and takes it for one of: ${model.labels.join(", ")}.`;
}

// Answered, failed, mean time and the answers' classes of a version.
function figures(samples, version) {
  if (!samples) return ["", "", "", ""];
  const of = (name) => samples.filter((one) => one.name === name && one.labels.version === version);
  const sum = (some) => some.reduce((total, one) => total + one.value, 0);
  const requests = of("trainyard_requests_total");
  const answered = sum(requests.filter((one) => one.labels.code === "OK"));
  const calls = sum(of("trainyard_request_seconds_count"));
  const mean = calls ? `${((1000 * sum(of("trainyard_request_seconds_sum"))) / calls).toFixed(1)} ms` : "";
  const answers = of("trainyard_predictions_total")
    .sort((one, other) => other.value - one.value)
    .map((one) => `${one.labels.label} ${whole.format(one.value)}`);
  return [whole.format(answered), whole.format(sum(requests) - answered), mean, answers.join(", ")];
}

const NUMBERS = new Set([3, 4, 5, 6]);

function row(texts, stable) {
  const made = document.createElement("tr");
  made.classList.toggle("best", stable);
  made.append(
    ...texts.map((text, place) => {
      const cell = document.createElement(place ? "td" : "th");
      if (!place) cell.scope = "row";
      if (NUMBERS.has(place)) cell.className = "number";
      cell.textContent = text;
      return cell;
    }),
  );
  return made;
}

show();
onToken(show);
setInterval(() => document.hidden || askingForToken() || show(), EVERY_MS);
