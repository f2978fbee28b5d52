// The card of a mesh or scan that is being encoded or reconstructed.

const $ = (id) => document.getElementById(id);
const WORDS = { waiting: "waits", searching: "is searched by", fitting: "is being fitted", done: "is done", failed: "failed", cancelled: "was cancelled" };

export function watchUpload(upload, { source, matches, done, say, current }) {
  let seen = false;
  const card = (state) => {
    $("job").hidden = false;
    $("job-name").textContent = state.name;
    $("job-state").textContent = state.state === "fitting" ? (state.kind === "scan" ? "is being reconstructed" : "is being encoded") : WORDS[state.state];
    $("job-bar").hidden = !["waiting", "searching", "fitting"].includes(state.state);
    if (state.state === "fitting" && state.progress > 0) $("job-bar").value = state.progress; else $("job-bar").removeAttribute("value");
    $("job-note").textContent = state.note || (state.notes ?? []).join("; ");
    $("job-cancel").hidden = $("job-bar").hidden;
  };
  $("job-cancel").onclick = () => source.cancel(upload.key);
  const look = async () => {
    if (current() !== upload.key) return;
    const state = await source.uploadState(upload.key).catch((error) => ({ ...upload, state: "failed", note: error.message }));
    if (current() !== upload.key) return;
    card(state);
    if (!seen && state.matches?.length) { seen = true; matches(state.matches); say(`${state.name} is most like ${state.matches[0].name}`); }
    if (state.state === "done") { say(`${state.name} is done`); done(upload.key); }
    else if (!["failed", "cancelled"].includes(state.state)) setTimeout(look, 300);
  };
  card(upload);
  look();
}
