// Checks the configuration as one types, and leads from what is wrong to its line.
// Without this the button Check does the same.
"use strict";
const editor = document.getElementById("editor");
if (editor) {
  const text = document.getElementById("text");
  const list = document.getElementById("problems");
  const summary = document.getElementById("summary");
  const pause = 600; // ms without a key
  let timer, asked;

  const row = (problem) => {
    const item = document.createElement("li");
    if (problem.severity === "error") item.className = "bad";
    if (problem.line > 0) {
      const link = document.createElement("a");
      link.href = "#text";
      link.dataset.line = problem.line;
      link.textContent = "line " + problem.line;
      item.append(link, ": ");
    }
    if (problem.key) {
      const key = document.createElement("code");
      key.textContent = problem.key;
      item.append(key, ": ");
    }
    item.append(problem.text + (problem.severity === "warning" ? " (a warning)" : ""));
    return item;
  };

  // A screen reader says the summary again only where it is another one.
  const say = (words) => {
    if (summary.textContent !== words) summary.textContent = words;
  };

  const check = async () => {
    asked?.abort();
    asked = new AbortController();
    try {
      const answer = await fetch("/setup/check", {
        method: "POST",
        headers: { Accept: "application/json", "X-CSRF-Token": document.querySelector("meta[name=csrf]").content },
        body: new URLSearchParams(new FormData(editor)),
        signal: asked.signal,
      });
      if (!answer.ok || answer.redirected) throw new Error(answer.status);
      const problems = await answer.json();
      list.replaceChildren(...problems.map(row));
      const wrong = problems.filter((one) => one.severity === "error").length;
      say(problems.length === 0 ? "Nothing is wrong with it." : `${wrong} wrong, ${problems.length - wrong} to look at`);
    } catch (failure) {
      if (failure.name !== "AbortError") say("It cannot be checked now; the button Check tells why.");
    }
  };

  if (!text.readOnly) {
    text.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(check, pause);
    });
  }

  editor.addEventListener("click", (event) => {
    const line = Number(event.target.dataset?.line);
    if (!line) return;
    event.preventDefault();
    const lines = text.value.split("\n");
    const from = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
    text.focus();
    text.setSelectionRange(from, from + (lines[line - 1] ?? "").length);
    text.scrollTop = Math.max(0, (text.scrollHeight / lines.length) * (line - 5));
    text.scrollLeft = 0;
  });
}

// Tells how the search for a line's settings goes. Asking keeps it going.
const probe = document.querySelector("#probe[data-running]");
if (probe) {
  const part = (name) => document.getElementById("probe-" + name);
  const every = 2000; // ms
  const lamp = (line) => {
    const shown = document.createElement("span");
    shown.className = line.on ? "lamp on" : "lamp";
    shown.textContent = `${line.name} ${line.on ? "on" : "off"}`;
    return shown;
  };
  const look = async () => {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "application/json" } });
      if (!answer.ok || answer.redirected) throw new Error(answer.status);
      const state = await answer.json();
      if (!state.running) {
        location.reload();
        return;
      }
      const heard = state.heard ?? [];
      const words = heard.length === 0 ? "Listening. Nothing was heard yet." : "Listening. Heard last: " + heard[heard.length - 1];
      if (part("status").textContent !== words) part("status").textContent = words;
      part("left").textContent = state.left;
      part("modem").replaceChildren(...(state.modem ?? []).flatMap((line) => [lamp(line), " "]));
      part("heard").replaceChildren(...heard.map((line) => {
        const item = document.createElement("li");
        item.textContent = line;
        return item;
      }));
    } catch {
      part("status").textContent = "The gateway does not answer; trying on.";
    }
    setTimeout(look, every);
  };
  look();
}
