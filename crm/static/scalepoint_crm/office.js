// Nicer with it, works without it: "/" goes to the search, addresses have a button that copies them, and what the admin
// builds out of scripts gets the names that screen readers and the keyboard need.
"use strict";
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable], [role=combobox]");
  const search = document.getElementById("searchbar");
  if (event.key === "/" && search && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    search.focus();
    search.select();
  }
});

document.addEventListener("DOMContentLoaded", () => {
  for (const field of document.querySelectorAll("input[data-office-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button office-copy";
    button.textContent = field.dataset.officeCopy;
    const told = document.createElement("span");
    told.setAttribute("role", "status");
    button.addEventListener("click", async () => {
      field.select();
      try {
        await navigator.clipboard.writeText(field.value);
      } catch {
        document.execCommand("copy"); // a page over http has no clipboard of its own
      }
      told.textContent = ` \u2714 ${field.dataset.copied}`;
    });
    field.after(button, told);
  }
});

// What the admin's own scripts build, now or later: a search box is called what its label says, a picture that explains
// is one.
const name = () => {
  for (const select of document.querySelectorAll("select.select2-hidden-accessible")) {
    const label = document.querySelector(`label[for="${select.id}"]`)?.textContent.trim().replace(/:$/, "");
    const box = select.nextElementSibling?.querySelector("[role=combobox]");
    if (label && box && !box.hasAttribute("aria-label")) {
      box.removeAttribute("aria-labelledby");
      box.setAttribute("aria-label", label);
      box.querySelector("[role=textbox]")?.setAttribute("aria-label", label);
    }
  }
  for (const icon of document.querySelectorAll(".search-label-icon:not([role])")) {
    icon.setAttribute("role", "img");
  }
};
document.addEventListener("DOMContentLoaded", () => {
  name();
  new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
  // A table that scrolls alone is reached by the keyboard.
  for (const table of document.querySelectorAll(".inline-group[data-inline-type=tabular], #changelist .results")) {
    const heading = table.querySelector("h2") ?? document.querySelector("#content h1");
    table.tabIndex = 0;
    table.setAttribute("role", "region");
    if (!table.hasAttribute("aria-labelledby")) {
      table.setAttribute("aria-label", heading?.textContent.trim() ?? "");
    }
  }
});
