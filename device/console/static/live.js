// The page of a line: goes on with what the gateway sends, behind the backlog that
// the page came with.
"use strict";
(() => {
  const most = 2000; // lines that the page keeps
  const log = document.getElementById("traffic");
  const list = log.querySelector("ol");
  const told = document.getElementById("told");
  const pause = document.getElementById("pause");
  const follow = document.getElementById("follow");
  const chosen = document.getElementById("opening");
  const openings = new Map(); // number of lines by opening
  let after = log.dataset.after;
  let events = null;

  const say = (text) => { told.textContent = text; };

  function known(opening, remote, change) {
    const lines = (openings.get(opening) ?? 0) + change;
    if (lines > 0) {
      if (!openings.has(opening)) chosen.append(new Option(`${remote} (${opening})`, opening));
      openings.set(opening, lines);
      return;
    }
    openings.delete(opening);
    const option = [...chosen.options].find((one) => one.value === opening);
    if (option && !option.selected) option.remove();
  }

  function arrive(line) {
    known(line.dataset.opening, line.dataset.remote, 1);
    line.hidden = chosen.value !== "" && line.dataset.opening !== chosen.value;
  }

  function leave(line) {
    known(line.dataset.opening, line.dataset.remote, -1);
    line.remove();
  }

  const toEnd = () => { if (follow.checked) log.scrollTop = log.scrollHeight; };

  function parse(html) {
    return new DOMParser().parseFromString(`<ol>${html}</ol>`, "text/html").querySelectorAll("li");
  }

  function connect() {
    events = new EventSource(`${log.dataset.events}?after=${encodeURIComponent(after)}`);
    events.addEventListener("open", () => say("Live."));
    events.addEventListener("entries", (event) => {
      after = event.lastEventId;
      for (const line of parse(event.data)) {
        list.append(line);
        arrive(line);
      }
      while (list.childElementCount > most) leave(list.firstElementChild);
      toEnd();
    });
    events.addEventListener("state", (event) => {
      const fresh = new DOMParser().parseFromString(event.data, "text/html");
      document.getElementById("state").replaceChildren(...fresh.body.childNodes);
    });
    events.addEventListener("over", (event) => {
      disconnect();
      say(event.data);
    });
    events.addEventListener("error", () => {
      if (events.readyState !== EventSource.CLOSED) {
        say("The gateway does not answer; trying on.");
        return;
      }
      disconnect();
      say("The gateway refuses to go on: load this page again.");
    });
  }

  function disconnect() {
    events?.close();
    events = null;
    pause.setAttribute("aria-pressed", "true");
    pause.textContent = "Go on";
  }

  pause.addEventListener("click", () => {
    if (events) {
      disconnect();
      say("Paused. The gateway keeps the last entries meanwhile.");
      return;
    }
    pause.setAttribute("aria-pressed", "false");
    pause.textContent = "Pause";
    connect();
  });
  document.getElementById("clear").addEventListener("click", () => {
    for (const line of [...list.children]) leave(line);
    say("Cleared.");
  });
  chosen.addEventListener("change", () => {
    for (const line of list.children) line.hidden = chosen.value !== "" && line.dataset.opening !== chosen.value;
    toEnd();
  });
  log.addEventListener("scroll", () => {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 8;
    if (!atEnd) follow.checked = false;
  });
  follow.addEventListener("change", toEnd);
  addEventListener("pagehide", () => events?.close());

  document.getElementById("controls").hidden = false;
  document.getElementById("snapshot").hidden = true;
  for (const line of list.children) arrive(line);
  toEnd();
  connect();
})();
