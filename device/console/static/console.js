// A part that carries data-renew="SECONDS" is loaded again as often, unless the
// person is in it or does not look.
"use strict";
for (const part of document.querySelectorAll("[data-renew]")) {
  setInterval(async () => {
    if (document.hidden || part.contains(document.activeElement) || !getSelection().isCollapsed) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.status === 401) location.reload(); // the session has ended
      if (!answer.ok || answer.redirected) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id);
      if (fresh) part.replaceChildren(...fresh.childNodes);
    } catch {
      // The gateway is away for a moment; the next turn shows how it is.
    }
  }, part.dataset.renew * 1000);
}
