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
  return response.json().catch(() => ({ detail: `The server answered ${response.status}.` }));
}

// What the adapter serves; null where a token has to be entered first: whoever gave `onToken` a function is called then.
export async function servedModel() {
  const response = await ask("/v1/model");
  const model = await read(response);
  if (response.status === UNAUTHORIZED) {
    askForToken(model.detail);
    return null;
  }
  if (!model.version_labels) throw new Error(model.detail);
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
