/* What pages do beyond plain HTML: times in the reader's zone, a reason that survives a
   sign-in, and a word to screen readers when a page has changed. All of it may be missing. */
"use strict";
(function () {
  const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  function times(root) {
    for (const t of root.querySelectorAll("time[datetime]:not([data-local])")) {
      const at = new Date(t.dateTime);
      if (isNaN(at)) continue;
      t.dataset.local = "";
      const text = document.createElement("span");
      text.className = "local";
      text.textContent = local.format(at) + " here";
      t.append(text);
    }
  }
  function reasons(root) {
    for (const form of root.querySelectorAll("form[data-keep]")) {
      const field = form.elements.reason, key = "reason " + form.dataset.keep;
      try {
        if (!field.value) field.value = sessionStorage.getItem(key) || "";
        field.addEventListener("input", function () { sessionStorage.setItem(key, field.value); });
      } catch { /* no storage */ }
    }
    if (root.querySelector(".done")) {
      try { Object.keys(sessionStorage).filter((k) => k.startsWith("reason ")).forEach((k) => sessionStorage.removeItem(k)); } catch { /* no storage */ }
    }
  }
  function drawn() {
    times(document);
    reasons(document);
  }
  document.addEventListener("DOMContentLoaded", drawn);
  document.addEventListener("htmx:afterSettle", function () {
    drawn();
    const said = document.getElementById("said"), title = document.querySelector("h1");
    if (said && title) said.textContent = title.textContent;
    const content = document.getElementById("content");
    if (content && !content.contains(document.activeElement)) content.focus({ preventScroll: true });
  });
})();
