// The parts of a check are looked at again every 2 seconds. What has not changed
// is left alone: a screen reader reads the news only, and nobody loses the place.
"use strict";
const parts = [...document.querySelectorAll("[data-part]")];
let looking = false;
async function look() {
  if (document.hidden || looking) return;
  looking = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.status === 401) location.reload(); // the session has ended
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of parts) {
      const now = fresh.getElementById(part.id);
      if (!now || now.innerHTML === part.innerHTML || part.contains(document.activeElement)) continue;
      part.className = now.className;
      part.replaceChildren(...now.childNodes);
    }
  } catch {
    // The gateway is away for a moment; the next turn shows how it is.
  } finally {
    looking = false;
  }
}
if (parts.length > 0) setInterval(look, 2000);
const print = document.getElementById("print");
if (print) {
  print.hidden = false;
  print.addEventListener("click", () => window.print());
}
