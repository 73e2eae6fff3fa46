// Asks the adapter, with the token that was entered in this tab if there is one.

export const UNAUTHORIZED = 401;
const TOKEN = "trainyard-token";
const form = document.getElementById("access");
const field = document.getElementById("token");

// As fetch.
export function ask(address, options = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) };
  return fetch(address, { ...options, headers });
}

// What it says; what stands before the adapter may answer with a page of its own.
export function read(response) {
  return response.json().catch(() => ({
    detail: `The server answered ${response.status}.`,
    advice: "Something in front of the adapter answered in its place; try again, or tell its operator.",
  }));
}

// An error with what to do about it: a page of the adapter's own, or a sentence.
export class Refused extends Error {
  constructor(answer) {
    super(answer.detail);
    // Another server's document may name any address; only pages of this adapter are linked to.
    this.help = /^\/problems\/[a-z-]+$/.test(answer.help ?? "") ? answer.help : null;
    this.advice = answer.advice ?? "";
  }
}

export class Unreachable extends Refused {
  constructor() {
    super({ detail: "The server can't be reached.", advice: "Check your network and whether the adapter runs." });
  }
}

// Puts the error into `place`, with what to do about it.
export function tell(place, error) {
  const parts = [error.message];
  if (error.help) {
    const link = document.createElement("a");
    link.href = error.help;
    link.target = "_blank"; // the answers on this page stay
    link.textContent = "What to do";
    parts.push(" ", link);
  } else if (error.advice) {
    parts.push(` ${error.advice}`);
  }
  place.replaceChildren(...parts);
}

// Asks until there is an answer: for a token where one is wanted, and again where it is said when.
export async function patiently(address, options, tries) {
  for (let tried = 1; ; tried += 1) {
    const response = await ask(address, options).catch(() => {
      throw new Unreachable();
    });
    const answer = await read(response);
    if (response.ok) return answer;
    if (response.status === UNAUTHORIZED) {
      await askForToken(answer.detail);
      tried = 0;
      continue;
    }
    const wait = Number(response.headers.get("Retry-After"));
    if (!wait || tried === tries) throw new Refused(answer);
    await new Promise((resume) => setTimeout(resume, wait * 1000));
  }
}

// What the adapter serves; null where a token has to be entered first: whoever gave `onToken` a function is called then.
export async function servedModel() {
  const response = await ask("/v1/model").catch(() => {
    throw new Unreachable();
  });
  const model = await read(response);
  if (response.status === UNAUTHORIZED) {
    askForToken(model.detail);
    return null;
  }
  if (!model.version_labels) throw new Refused(model);
  return model;
}

// Shows the form, and resolves once a token was entered.
export function askForToken(why) {
  if (form.hidden) {
    // The first time nothing was wrong: there was no token at all.
    document.getElementById("unknown").textContent = sessionStorage.getItem(TOKEN) ? why : "";
    sessionStorage.removeItem(TOKEN);
    form.hidden = false;
    field.focus();
  }
  return new Promise((resolve) => form.addEventListener("submit", resolve, { once: true }));
}

export const askingForToken = () => !form.hidden;

// Calls `go` whenever one was entered.
export function onToken(go) {
  form.addEventListener("submit", go);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, field.value.trim());
  field.value = "";
  form.hidden = true;
});
