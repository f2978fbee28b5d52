// The page: a map beside a shape beside its facts. Where the shapes come from is a source: live_source.js or
// static_source.js, which have the same functions.

import { Scene } from "./scene.js";
import { MapView, markIcon, styleOf } from "./map.js";
import { Thumbnails } from "./thumbnails.js";
import { MorphPins, shortName } from "./morph_pins.js";
import { watchUpload } from "./upload_job.js";

const source = await import(document.documentElement.dataset.source === "static" ? "./static_source.js" : "./live_source.js");
const $ = (id) => document.getElementById(id);
const PREVIEW = source.live ? 64 : 48, DRAGGED = 40, REFINED = source.live ? [96, 160] : [64, 96], DENSE = 60000;
const state = { summary: null, ranks: new Map(), styles: new Map(), subject: null, shown: null, section: null, job: null, filter: null };

const scene = new Scene($("stage"));
const thumbnails = new Thumbnails((name, cells) => source.mesh({ name }, cells), () => { map.invalidate(); pins.drawPad(); });
const map = new MapView($("map"), {
  select: (name) => select(name),
  pin: (name) => pins.add(name),
  mix: (weights, puck) => pins.setWeights(weights, puck),
  settle: () => pins.settle(),
  thumbnail: (name, color) => thumbnails.get(name, color),
});
const pins = new MorphPins({ map, thumbnail: (name) => thumbnails.get(name, colorOf(name)), paint: (name, canvas) => thumbnails.paint(name, colorOf(name), canvas), onMix: (subject) => follow(subject), onSettle: (subject) => state.following || show(subject, { fresh: false }), onSelect: (name) => select(name) });
window.explorer = { state, scene, map, pins, source, thumbnails };

const colorOf = (name) => map.byName.get(name)?.color ?? "#56b4e9";
const figure = (value, digits = 3) => (value === null || value === undefined ? "–" : Number(value).toPrecision(digits).replace(/\.?0+(e|$)/, "$1").replace(/e\+?(-?)(\d+)/, "·10^$1$2"));
const count = (value) => Number(value).toLocaleString("en");
const aborted = (error) => error.name === "AbortError";

function say(text) { $("live").textContent = text; }

let toastTimer;
function complain(error) {
  if (aborted(error)) return;
  $("toast").textContent = error.message ?? error;
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { $("toast").hidden = true; }, 6000);
}

// ---- the collection

async function begin() {
  theme(localStorage.getItem("latentsdf-theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
  await refresh();
  upright(localStorage.getItem(`latentsdf-up ${state.summary.source}`) ?? state.summary.upright ?? "z");
  const { opened, names } = state.summary, asked = decodeURIComponent(location.hash.slice(1));
  if (opened) follow_upload(await source.uploadState(opened));
  await select(names.includes(asked) ? asked : names[0], { reveal: false });
  $("stage").focus({ preventScroll: true });
}

async function refresh() {
  const summary = state.summary = await source.summary();
  document.title = `${summary.title ?? summary.source} · latentsdf`;
  $("title").textContent = summary.title ?? summary.source;
  const classes = rankedClasses(summary), stored = summary.file_bytes ? `, ${bytes(summary.file_bytes)}` : "";
  const kinds = classes.length > 1 ? ` in ${classes.length} classes` : "";
  $("count").textContent = `${count(summary.names.length)} shapes${kinds}${stored}`;
  state.classOf = new Map(summary.names.map((name, i) => [name, summary.classes[i]]));
  map.setItems(summary.names.map((name, i) => ({ name, rank: state.ranks.get(summary.classes[i]) })));
  $("edits").hidden = !summary.edit;
  $("open").hidden = !source.live;
  if (!source.live) $("cells").replaceChildren(...[64, 96, 128].map((n) => new Option(`${n} cells`, n, n === 96, n === 96)));
  drawLegend(classes);
  await place();
}

function rankedClasses(summary) {
  const sizes = new Map();
  for (const name of summary.classes) sizes.set(name, (sizes.get(name) ?? 0) + 1);
  const ranked = [...sizes].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
  state.ranks = new Map(ranked.map(([name], i) => [name, i]));
  return ranked;
}

let placing;
async function place() {
  clearTimeout(placing);
  const plane = await source.plane();
  if (plane.points.length !== map.items.length) return;
  const key = `${plane.method} ${plane.version}`;
  if (state.plane !== key) { state.plane = key; map.setPoints(plane.points); }
  const by = plane.by === "records" ? "by search records" : "by codes";
  $("map-note").textContent = plane.done ? `like shapes near each other, ${by}` : `arranging ${Math.round(100 * plane.progress)} %`;
  if (!plane.done) placing = setTimeout(() => place().catch(complain), 500);
}

function drawLegend(classes) {
  const chips = classes.length > 1 ? classes.map(([name, size], rank) => {
    const chip = document.createElement("button"), icon = document.createElement("canvas");
    icon.width = icon.height = 28;
    markIcon(icon, styleOf(rank));
    chip.append(icon, `${name || "(none)"} ${size}`);
    chip.setAttribute("aria-pressed", "false");
    chip.addEventListener("click", () => filterClass(state.filter === name ? null : name));
    chip.dataset.name = name;
    return chip;
  }) : [];
  $("legend").replaceChildren(...chips);
}

function filterClass(name) {
  state.filter = name;
  for (const chip of $("legend").children) chip.setAttribute("aria-pressed", String(chip.dataset.name === name));
  map.setDim(name === null ? null : new Set(state.summary.names.filter((item) => state.classOf.get(item) === name)));
  say(name === null ? "all classes" : `class ${name}`);
}

// ---- one shape

async function select(name, { reveal = true } = {}) {
  map.select(name, reveal);
  pins.release();
  history.replaceState(null, "", `#${encodeURIComponent(name)}`);
  say(`${name}${state.classOf.get(name) ? `, class ${state.classOf.get(name)}` : ""}`);
  await show({ name }, { fresh: true });
}

async function show(subject, { fresh = true } = {}) {
  state.shown?.abort();
  const controller = state.shown = new AbortController(), { signal } = controller;
  const began = performance.now();
  state.subject = subject;
  latest = null;
  thumbnails.pause(true);
  let mesh;
  try {
    mesh = await source.mesh(subject, PREVIEW, signal);
    draw(mesh, fresh, began);
    thumbnails.pause(false);
    if (fresh) clearOverlays();
    await Promise.all([describe(subject, mesh, signal), nearest(subject, signal)]);
    if (mesh.header.form === "codes" && subject.mix) {
      $("stage-note").textContent = "mixing codes while the two surfaces are registered";
    } else if (state.section) await slice();
    for (const cells of REFINED) {
      if (mesh.header.triangles > DENSE) break;
      mesh = await source.mesh(subject, cells, signal);
      draw(mesh, false, began);
    }
    if (state.section && subject.mix) await slice();
  } catch (error) {
    if (!aborted(error)) { $("stage-note").textContent = error.message; complain(error); }
  } finally {
    thumbnails.pause(false);
  }
}

function draw(mesh, fresh, began) {
  scene.setMesh("main", mesh, fresh);
  const { triangles, cells } = mesh.header, time = Math.round(performance.now() - began);
  state.drawnAt ??= performance.now();
  if (!mesh.stored) state.decodedAt ??= performance.now();
  state.drawn = { subject: state.subject, cells, triangles, milliseconds: time, form: mesh.header.form, positions: mesh.positions.length };
  $("stage-note").textContent = `${count(triangles)} triangles${cells ? ` at ${cells} cells` : ""}`;
  $("guess-key").hidden = !mesh.guess;
}

function clearOverlays() {
  press("compare", false); scene.split = null; scene.setMesh("other", null); $("split").hidden = true;
  press("pointcloud", false); scene.setPoints(null);
}

// Draw a mixture that a pointer drags: one request at a time, the latest one next.
let latest = null, settling;
async function follow(subject) {
  latest = subject;
  clearTimeout(settling);
  if (state.following) return;
  state.following = true;
  state.shown?.abort();
  thumbnails.pause(true);
  map.select(null);
  try {
    while (latest) {
      const next = latest, began = performance.now();
      latest = null;
      state.subject = next;
      const mesh = await source.mesh(next, DRAGGED);
      if (state.subject !== next) break;  // another shape was chosen meanwhile
      draw(mesh, false, began);
      $("name").textContent = mixtureName(next);
    }
  } catch (error) { complain(error); } finally {
    state.following = false;
    thumbnails.pause(false);
    settling = setTimeout(() => pins.settle(), 350);
  }
}

const mixtureName = ({ mix, weights }) => mix.map((name, i) => `${Math.round(100 * weights[i])} % ${shortName(name)}`).join(" + ");

async function describe(subject, mesh, signal) {
  const facts = await source.facts(subject, signal);
  state.facts = facts;
  $("name").textContent = subject.mix ? mixtureName(subject) : facts.name;
  const badges = [];
  if (facts.class) badges.push(badge(facts.class, styleOf(state.ranks.get(facts.class) ?? 0)));
  if (facts.mode !== "code") badges.push(badge(facts.mode));
  for (const tag of facts.tags ?? []) badges.push(badge(`# ${tag}`));
  $("badges").replaceChildren(...badges);
  const { extents } = mesh.header, rows = [["Size", `${extents.map((x) => figure(x)).join(" × ")}`]];
  if (facts.bytes !== null && facts.bytes !== undefined) rows.push(["Stored in", `${count(facts.bytes)} bytes`]);
  if (facts.correction) rows.push([`of it ${facts.correction}`, `${count(facts.correction_bytes)} bytes`]);
  if (facts.fit_error !== null && facts.fit_error !== undefined) rows.push(["Fit error", `${figure(facts.fit_error, 2)} of the radius`], ["", `${figure(facts.fit_error_source, 2)} in units of the source`]);
  if (facts.f_score) rows.push([`F at ${figure(facts.tolerance, 2)}`, figure(facts.f_score)]);
  if (facts.upload?.points) rows.push(["Scan", `${count(facts.upload.points)} points`], ["Distance to it", figure(facts.upload.residual_mean, 2)]);
  if (facts.source) rows.push(["Source", facts.source.split("/").pop()]);
  list($("facts"), rows);
  const audit = facts.audit;
  $("audit").hidden = !audit;
  if (audit) list($("audit-list"), auditRows(audit));
  $("compare").hidden = !facts.original;
  $("pointcloud").hidden = facts.upload?.kind !== "scan";
  $("edits").hidden = !(state.summary.edit && subject.name);
  $("add").hidden = !(state.summary.edit && subject.upload);
  $("tag-input").value = (facts.tags ?? []).join(", ");
  for (const note of facts.upload?.notes ?? []) say(note);
  if (facts.upload?.notes?.length) { $("job-note").textContent = facts.upload.notes.join("; "); }
  for (const button of document.querySelectorAll("#downloads [data-format]")) button.hidden = !(source.formats ?? ["glb", "stl", "ply"]).includes(button.dataset.format);
}

function auditRows(audit) {
  const yes = (value) => (value ? "yes" : "no");
  const rows = [["Vertices", count(audit.vertices)], ["Faces", count(audit.faces)], ["Watertight", yes(audit.watertight)], ["Consistent winding", yes(audit.consistent_winding)], ["Pieces", count(audit.components)]];
  for (const [key, text] of [["boundary_edges", "Boundary edges"], ["degenerate_faces", "Degenerate faces"], ["flipped_faces", "Faces turned"], ["self_intersections", "Self-intersections"]]) if (audit[key]) rows.push([text, count(audit[key])]);
  for (const note of audit.notes ?? []) rows.push(["Note", note]);
  return rows;
}

function list(target, rows) {
  target.replaceChildren(...rows.flatMap(([term, text]) => {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = term; dd.textContent = text;
    return [dt, dd];
  }));
}

function badge(text, style) {
  const made = document.createElement("span");
  made.className = "badge";
  if (style) { const icon = document.createElement("canvas"); icon.width = icon.height = 28; markIcon(icon, style); made.append(icon); }
  made.append(text);
  return made;
}

async function nearest(subject, signal) { drawNeighbours((await source.neighbours(subject, signal)).matches); }

function drawNeighbours(matches) {
  $("neighbours").replaceChildren(...matches.map(({ name, distance }) => {
    const button = document.createElement("button"), picture = document.createElement("canvas"), label = document.createElement("span");
    picture.width = picture.height = 116;
    label.textContent = shortName(name);
    button.title = `${name}, distance ${figure(distance)}`;
    button.setAttribute("role", "listitem");
    button.append(picture, label);
    button.addEventListener("click", (event) => (event.shiftKey ? pins.add(name) : select(name)));
    thumbnails.paint(name, colorOf(name), picture);
    return button;
  }));
}

// ---- slice, comparison, points

async function slice() {
  const axis = Number(document.querySelector("[name=axis]:checked").value), offset = Number($("slice-offset").value);
  scene.setCut(axis, offset);
  const wanted = state.section = { axis, offset };
  if (state.slicing) return;
  state.slicing = true;
  try {
    let done = null;
    while (state.section && (done !== state.section)) {
      done = state.section;
      const packet = await source.section(state.subject, done.axis, done.offset, 112);
      if (state.section) { scene.setSection(packet); scene.setCut(done.axis, done.offset); }
    }
  } catch (error) { complain(error); } finally { state.slicing = false; }
  return wanted;
}

function toggleSlice() {
  const on = !pressed("slice");
  press("slice", on);
  $("slice-controls").hidden = !on;
  if (on) slice(); else { state.section = null; scene.setSection(null); }
}

async function toggleCompare() {
  if ($("compare").hidden) return;
  const on = !pressed("compare");
  press("compare", on);
  $("split").hidden = !on;
  if (!on) { scene.split = null; scene.setMesh("other", null); return; }
  setSplit(0.5);
  try {
    const subject = state.subject;
    scene.setMesh("other", await source.original(subject));
    setSplit(0.5);
    const figures = await source.comparison(subject);
    if (subject !== state.subject) return;
    const rows = [["F at 0.01", figure(figures["f_0.01"])], ["Chamfer", `${figure(figures.chamfer_l1, 2)} of the radius`], ["Normals agree", figure(figures.normal_consistency)], ["Pieces", `${figures.components} of ${figures.components_true}`]];
    rows.forEach(([term, text]) => { const dt = document.createElement("dt"), dd = document.createElement("dd"); dt.textContent = term; dd.textContent = text; $("facts").append(dt, dd); });
  } catch (error) { press("compare", false); $("split").hidden = true; scene.split = null; complain(error); }
}

function setSplit(share) {
  scene.split = Math.max(0.02, Math.min(0.98, share));
  $("split").style.left = `${100 * scene.split}%`;
  $("split").setAttribute("aria-valuenow", String(Math.round(100 * scene.split)));
  scene.invalidate();
}

async function togglePoints() {
  const on = !pressed("pointcloud");
  press("pointcloud", on);
  try { scene.setPoints(on ? await source.points(state.subject) : null); } catch (error) { complain(error); }
}

const pressed = (id) => $(id).getAttribute("aria-pressed") === "true";
const press = (id, on) => $(id).setAttribute("aria-pressed", String(on));

// ---- uploads and edits

async function send(file) {
  try { follow_upload(await source.upload(file, "auto")); } catch (error) { complain(error); }
}

function follow_upload(upload) {
  state.job = upload.key;
  watchUpload(upload, {
    source,
    matches: (matches) => drawNeighbours(matches),
    done: (key) => { if (state.job === key) { map.select(null); pins.release(); show({ upload: key }).then(() => { if (!$("pointcloud").hidden) togglePoints(); }); } },
    say, current: () => state.job,
  });
}

function question(text, value, label) {
  $("ask-text").textContent = text;
  $("ask-input").hidden = value === null;
  $("ask-input").value = value ?? "";
  $("ask-yes").textContent = label;
  $("ask").returnValue = "";
  $("ask").showModal();
  return new Promise((resolve) => $("ask").addEventListener("close", () => resolve($("ask").returnValue === "yes" ? $("ask-input").value.trim() || true : null), { once: true }));
}

async function edit(verb, values, next) {
  try {
    await source.edit(verb, values);
    thumbnails.forget(values.name);
    await refresh();
    await select(state.summary.names.includes(next) ? next : state.summary.names[0]);
  } catch (error) { complain(error); }
}

async function rename() {
  const { name } = state.subject, answer = await question(`Another name for ${name}`, name, "Rename");
  if (answer && answer !== name) await edit("rename", { name, new: answer }, answer);
}

async function remove() {
  const { name } = state.subject;
  if (await question(`Delete ${name} from the file?`, null, "Delete")) await edit("delete", { name }, $("neighbours").querySelector("button")?.title.split(", distance")[0]);
}

async function tag(event) {
  event.preventDefault();
  const query = [["name", state.subject.name], ...$("tag-input").value.split(",").map((text) => text.trim()).filter(Boolean).map((text) => ["tag", text])];
  await edit("tag", query, state.subject.name);
}

async function add() {
  const answer = await question("Name of the new shape, such as chairs/windsor", state.facts.name, "Add");
  if (answer && answer !== true) await edit("add", { upload: state.subject.upload, new: answer }, answer);
}

// ---- search

function found(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean), { names, classes, tags } = state.summary;
  if (!words.length) return [];
  return names.filter((name, i) => words.every((word) => `${name} ${classes[i]} ${(tags[name] ?? []).join(" ")}`.toLowerCase().includes(word)));
}

function search() {
  const input = $("search"), names = found(input.value);
  map.setDim(input.value.trim() ? new Set(names) : null);
  const rows = names.slice(0, 40).map((name, i) => {
    const row = document.createElement("li"), icon = document.createElement("canvas");
    icon.width = icon.height = 28; icon.style.width = icon.style.height = "14px";
    markIcon(icon, styleOf(state.ranks.get(state.classOf.get(name)) ?? 0));
    row.append(icon, name);
    row.setAttribute("role", "option"); row.id = `found-${i}`; row.dataset.name = name;
    row.setAttribute("aria-selected", "false");
    row.addEventListener("pointerdown", (event) => { event.preventDefault(); choose(name); });
    return row;
  });
  $("results").replaceChildren(...rows);
  $("results").hidden = !rows.length;
  input.setAttribute("aria-expanded", String(!!rows.length));
  mark(0);
}

function mark(i) {
  const rows = [...$("results").children];
  if (!rows.length) { $("search").removeAttribute("aria-activedescendant"); return; }
  const at = (i + rows.length) % rows.length;
  rows.forEach((row, k) => row.setAttribute("aria-selected", String(k === at)));
  rows[at].scrollIntoView({ block: "nearest" });
  $("search").setAttribute("aria-activedescendant", rows[at].id);
  state.marked = at;
}

function choose(name) {
  $("search").value = "";
  search();
  $("search").blur();
  select(name);
}

// ---- keys, files, buttons

function theme(name) {
  document.documentElement.dataset.theme = name;
  localStorage.setItem("latentsdf-theme", name);
  const style = getComputedStyle(document.documentElement), value = (key) => style.getPropertyValue(key).trim();
  map.theme = { paper: value("--paper"), ink: value("--ink"), soft: value("--soft"), accent: value("--accent") };
  const dark = name === "dark";
  Object.assign(scene.colors, {
    base: dark ? [0.62, 0.72, 0.86] : [0.66, 0.75, 0.87], other: dark ? [0.78, 0.74, 0.66] : [0.84, 0.8, 0.72],
    paper: dark ? [0.16, 0.18, 0.21] : [0.97, 0.965, 0.955], ink: dark ? [0.9, 0.92, 0.95] : [0.1, 0.12, 0.15],
    inside: dark ? [0.34, 0.7, 0.95] : [0.0, 0.45, 0.7], outside: [0.88, 0.5, 0.18],
  });
  map.invalidate(); scene.invalidate(); pins.drawPad();
}

function upright(axis) {
  scene.upright = thumbnails.scene.upright = axis;
  localStorage.setItem(`latentsdf-up ${state.summary.source}`, axis);
  $("upright").textContent = `${axis.toUpperCase()} up`;
  scene.invalidate();
}

const keys = {
  "/": () => $("search").focus(), "?": () => $("keys").showModal(), s: toggleSlice, c: toggleCompare,
  p: () => state.subject?.name && pins.add(state.subject.name), r: () => $("spin").click(), u: () => $("upright").click(),
  t: () => $("theme").click(), o: () => !$("open").hidden && $("file").click(), "[": () => pins.nudge(-0.05), "]": () => pins.nudge(0.05), 0: () => scene.home(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "range" && event.target.type !== "radio") return;
  if (document.querySelector("dialog[open]")) return;
  const action = keys[event.key];
  if (action) { event.preventDefault(); action(); }
});

$("search").addEventListener("input", search);
$("search").addEventListener("blur", () => { $("results").hidden = true; });
$("search").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") mark(state.marked + 1);
  else if (event.key === "ArrowUp") mark(state.marked - 1);
  else if (event.key === "Enter" && $("results").children[state.marked]) choose($("results").children[state.marked].dataset.name);
  else if (event.key === "Escape") { $("search").value = ""; search(); $("search").blur(); }
  else return;
  event.preventDefault();
});
$("slice").addEventListener("click", toggleSlice);
for (const input of document.querySelectorAll("[name=axis]")) input.addEventListener("change", slice);
$("slice-offset").addEventListener("input", slice);
$("compare").addEventListener("click", toggleCompare);
$("pointcloud").addEventListener("click", togglePoints);
scene.onspin = (on) => press("spin", on);
$("spin").addEventListener("click", () => { scene.spin = !pressed("spin"); press("spin", scene.spin); scene.invalidate(); });
$("upright").addEventListener("click", () => {
  upright(scene.upright === "z" ? "y" : "z");
  thumbnails.setUpright(scene.upright);
});
$("reset").addEventListener("click", () => scene.home());
$("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
$("help").addEventListener("click", () => $("keys").showModal());
$("pin").addEventListener("click", () => state.subject?.name && pins.add(state.subject.name));
$("rename").addEventListener("click", rename);
$("delete").addEventListener("click", remove);
$("tag-form").addEventListener("submit", tag);
$("add-shape").addEventListener("click", add);
$("open").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", () => { if ($("file").files[0]) send($("file").files[0]); $("file").value = ""; });
for (const button of document.querySelectorAll("#downloads [data-format]")) {
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const { name, blob } = await source.download(state.subject, button.dataset.format, Number($("cells").value));
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob); link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    } catch (error) { complain(error); } finally { button.disabled = false; }
  });
}

const divider = $("split");
divider.addEventListener("pointerdown", (event) => divider.setPointerCapture(event.pointerId));
divider.addEventListener("pointermove", (event) => {
  if (!divider.hasPointerCapture(event.pointerId)) return;
  const box = $("stage").getBoundingClientRect();
  setSplit((event.clientX - box.left) / box.width);
});
divider.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -0.03, ArrowRight: 0.03 }[event.key];
  if (step) { setSplit(scene.split + step); event.preventDefault(); }
});

let inside = 0;
if (source.live) {
  addEventListener("dragenter", (event) => { event.preventDefault(); inside++; $("drop").hidden = false; });
  addEventListener("dragleave", () => { if (--inside <= 0) { inside = 0; $("drop").hidden = true; } });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    inside = 0;
    $("drop").hidden = true;
    if (event.dataTransfer.files[0]) send(event.dataTransfer.files[0]);
  });
}

function bytes(value) { return value < 10240 ? `${count(value)} bytes` : value < 1024 ** 2 ? `${Math.round(value / 1024)} kB` : `${(value / 1024 ** 2).toFixed(1)} MB`; }

begin().catch(complain);
