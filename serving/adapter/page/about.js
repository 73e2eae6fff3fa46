// What a version tells of itself, as elements: its accuracy, and the card of its model.

const percent = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat("en");

export const accuracy = (told) => percent.format(told.accuracy);

export function about(version, told) {
  if (!told) {
    return [made("p", "hint", `Version ${version} does not tell how accurate it is: it was made before versions did.`)];
  }
  const images = `${whole.format(told.images)} held-out ${told.images === 1 ? "image" : "images"}`;
  const figures = `Version ${version} got ${percent.format(told.accuracy)} of ${images} right when it was made`;
  const interval =
    told.accuracy_low === null
      ? ""
      : `; with 95% confidence between ${percent.format(told.accuracy_low)} and ${percent.format(told.accuracy_high)}`;
  const parts = [made("p", "hint", `${figures}${interval}. Pictures from elsewhere may be harder.`)];
  if (told.card) {
    const details = document.createElement("details");
    details.append(made("summary", "", "What the model is for, and what not"), card(told.card));
    parts.push(details);
  }
  return parts;
}

// Lines of "first: second" as a list of terms; others as paragraphs.
function card(text) {
  const place = made("div", "model-card", "");
  for (const line of text.split("\n")) {
    const found = /^([^:]{1,40}): (.*)$/.exec(line);
    if (!found) {
      place.append(made("p", "", line));
      continue;
    }
    if (place.lastElementChild?.tagName !== "DL") place.append(document.createElement("dl"));
    place.lastElementChild.append(made("dt", "", found[1]), made("dd", "", found[2]));
  }
  return place;
}

function made(name, kind, text) {
  const element = document.createElement(name);
  element.className = kind;
  element.textContent = text;
  return element;
}
