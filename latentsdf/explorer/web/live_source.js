// The collection as `latentsdf view` serves it.

import { readPacket } from "./packets.js";

export const live = true;
const LARGEST = 256 << 20; // as in latentsdf/explorer/uploads.py

export function queryOf(subject) {
  const query = new URLSearchParams();
  if (subject.upload) query.set("upload", subject.upload);
  else if (subject.mix) { subject.mix.forEach((name) => query.append("mix", name)); query.set("weights", subject.weights.map((w) => w.toFixed(3)).join(",")); }
  else query.set("name", subject.name);
  return query;
}

async function ask(path, query, options = {}) {
  const response = await fetch(`api/${path}${query ? `?${query}` : ""}`, options);
  if (!response.ok) {
    const { error } = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
    throw new Error(error);
  }
  return response;
}

const json = async (...parts) => (await ask(...parts)).json();
const packet = async (...parts) => readPacket(await (await ask(...parts)).arrayBuffer());
const change = (path, query, body) => json(path, query, { method: "POST", body, headers: { "X-Latentsdf": "1" } });

function withCells(subject, cells, extra = {}) {
  const query = queryOf(subject);
  query.set("cells", cells);
  for (const [name, value] of Object.entries(extra)) query.set(name, value);
  return query;
}

export const summary = () => json("space");
export const plane = () => json("map");
export const mesh = (subject, cells, signal) => packet("mesh", withCells(subject, cells), { signal });
export const original = (subject, signal) => packet("original", queryOf(subject), { signal });
export const facts = (subject, signal) => json("facts", queryOf(subject), { signal });
export const neighbours = (subject, signal) => json("neighbours", queryOf(subject), { signal });
export const comparison = (subject, signal) => json("compare", queryOf(subject), { signal });
export const points = (subject, signal) => packet("points", queryOf(subject), { signal });
export const section = (subject, axis, offset, cells, signal) => packet("section", withCells(subject, cells, { axis, offset }), { signal });
export async function upload(file, kind) {
  if (file.size > LARGEST) throw new Error(`${file.name} has more than ${LARGEST >> 20} MB, the most that is taken`);
  return change("upload", new URLSearchParams({ filename: file.name, kind }), file);
}
export const uploadState = (key) => json("upload", new URLSearchParams({ upload: key }));
export const cancel = (key) => change("cancel", new URLSearchParams({ upload: key }));
export const edit = (verb, values) => change(verb, new URLSearchParams(values));

export async function download(subject, format, cells) {
  const query = withCells(subject, cells, { format });
  const response = await ask("download", query);
  const name = decodeURIComponent((response.headers.get("Content-Disposition") ?? "").split("''")[1] ?? `shape.${format}`);
  return { name, blob: await response.blob() };
}
