/** Questions to the server of the page. */

import { readTable } from "./table.js";

export class ApiError extends Error {
  /** @param {number} status of HTTP; 0: no answer @param {string} code @param {string} message */
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const TIMEOUT_MS = 30_000;

async function ask(path, options = {}) {
  let response;
  try {
    const signal = options.signal ?? AbortSignal.timeout(TIMEOUT_MS);
    response = await fetch(path, { ...options, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "no_answer", "The page's server does not answer.");
  }
  if (response.ok) return response;
  // The session is over: the server answers `/` with the form to log in.
  if (response.status === 401) location.reload();
  const body = await response.json().catch(() => ({}));
  const message = body.message ?? `The server answers ${response.status}.`;
  throw new ApiError(response.status, body.error ?? "unknown", message);
}

/** @param {Record<string, any>} [parameters] lists repeat; null, undefined and "" are left out */
export async function get(path, parameters = {}, options = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== "") query.append(name, one);
    }
  }
  const text = query.toString();
  return (await ask(text ? `${path}?${text}` : path, options)).json();
}

export async function post(path, body) {
  const response = await ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return response.status === 204 ? null : response.json();
}

const stripPath = (strip) => `/api/strips/${encodeURIComponent(strip)}`;

export const me = () => get("/api/me");
export const state = () => get("/api/state");
export const charts = (span) => get("/api/charts", { span });
export const strips = (parameters) => get("/api/strips", parameters);
export const strip = (name) => get(stripPath(name));
export const reportUrl = (name) => `${stripPath(name)}/report`;
export const defect = (seq) => get(`/api/defects/${seq}`);
export const whatIf = (body) => post("/api/what-if", body);
export const review = (body) => post("/api/reviews", body);
export const applyThresholds = (body) => post("/api/thresholds", body);
export const logOut = () => post("/logout", {});
export const pictureUrl = (seq, kind) => `/api/defects/${seq}/${kind}`;

/** A page of the list of defects, newest first. An empty one may still have a `next`. */
export const defects = (filters, signal) => get("/api/defects", filters, { signal });

/** The defects of a strip in columns; those after a number only, where one is given. */
export async function stripTable(name, after) {
  const query = after === undefined ? "" : `?after=${after}`;
  const response = await ask(`${stripPath(name)}/defects${query}`);
  return readTable(await response.arrayBuffer());
}

/** The next picture of a camera, or null where none came in time. */
export async function livePicture(camera, after, signal) {
  const path = `/api/live/${encodeURIComponent(camera)}?after=${after}`;
  const response = await ask(path, { signal });
  if (response.status === 204) return null;
  const head = (name) => response.headers.get(name);
  return {
    blob: await response.blob(),
    number: Number(head("X-Picture")),
    strip: head("X-Strip"),
    capturedNs: head("X-Captured-Ns") ? Number(head("X-Captured-Ns")) : null,
    downwebM: head("X-Downweb-M") ? Number(head("X-Downweb-M")) : null,
  };
}
