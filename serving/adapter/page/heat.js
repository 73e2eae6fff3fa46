// Shows on demand what of a picture the answer to it rests on.

import { tell } from "/page/access.js";

const SIDE = 320; // pixels of the drawing
const [LOWERS, RAISES] = ["230, 97, 0", "26, 133, 255"];
// Below this nothing is drawn: colours would make something of nothing.
const NOTHING = 0.01;
const points = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
// One is asked for at a time; the adapter makes no more.
let last = Promise.resolve();

export function offerHeat(card, ask, name) {
  const button = card.querySelector(".why");
  const status = card.querySelector(".asking");
  let figure = null;
  button.hidden = false;
  button.setAttribute("aria-label", `What did it look at in ${name}?`);
  button.addEventListener("click", async () => {
    if (figure) {
      figure.hidden = !figure.hidden;
      button.setAttribute("aria-expanded", String(!figure.hidden));
      return;
    }
    if (button.getAttribute("aria-disabled") === "true") return;
    // Not disabled: it would lose the keyboard's focus.
    button.setAttribute("aria-disabled", "true");
    status.classList.remove("wrong");
    status.textContent = "Covering each part in turn…";
    const asked = last.then(ask);
    last = asked.catch(() => {});
    try {
      figure = await drawn(await asked, name);
      card.append(figure);
      button.setAttribute("aria-expanded", "true");
      status.textContent = figure.querySelector(".strongest").textContent;
      status.classList.add("heard");
    } catch (error) {
      status.classList.add("wrong");
      tell(status, error);
    }
    button.removeAttribute("aria-disabled");
  });
}

async function drawn(found, name) {
  const figure = document.getElementById("heat").content.cloneNode(true).firstElementChild;
  const canvas = figure.querySelector("canvas");
  const most = Math.max(...found.falls.flat().map(Math.abs));
  const said = most < NOTHING ? nothing(found) : strongest(found);
  figure.querySelector(".strongest").textContent = said;
  figure.querySelector(".scale").hidden = most < NOTHING;
  canvas.setAttribute("aria-label", `${name} as the model sees it, coloured by what its answer rests on. ${said}`);
  canvas.width = canvas.height = SIDE;
  const pen = canvas.getContext("2d");
  const bytes = Uint8Array.from(atob(found.picture), (letter) => letter.charCodeAt(0));
  pen.drawImage(await createImageBitmap(new Blob([bytes], { type: "image/png" })), 0, 0, SIDE, SIDE);
  if (most < NOTHING) return figure;
  const cell = SIDE / found.falls.length;
  found.falls.forEach((row, down) =>
    row.forEach((fall, across) => {
      pen.fillStyle = `rgba(${fall > 0 ? LOWERS : RAISES}, ${(0.75 * Math.abs(fall)) / most})`;
      pen.fillRect(Math.round(across * cell), Math.round(down * cell), Math.ceil(cell), Math.ceil(cell));
    }),
  );
  return figure;
}

function nothing({ label }) {
  return `No part that is covered changes the probability of ${label} by more than one point of a hundred.`;
}

function strongest({ falls, label, probability }) {
  const cells = falls.flatMap((row, down) => row.map((fall, across) => ({ fall, down, across })));
  const { fall, down, across } = cells.reduce((most, one) => (one.fall > most.fall ? one : most));
  const before = points.format(100 * probability);
  if (fall < NOTHING) return `Covering no part lowers the probability of ${label}, ${before}%; some raise it.`;
  const after = points.format(100 * (probability - fall));
  return `Covering the ${place(down, across, falls.length)} lowers the probability of ${label} most: from ${before}% to ${after}%.`;
}

function place(down, across, side) {
  const third = (at) => Math.floor((3 * (at + 0.5)) / side);
  const rows = ["top", "middle", "bottom"][third(down)];
  const columns = ["left", "middle", "right"][third(across)];
  return rows === columns ? "middle" : rows === "middle" ? `${columns} side` : columns === "middle" ? `${rows} middle` : `${rows} ${columns}`;
}
