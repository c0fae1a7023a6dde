/* Nicer with it, works without it: a click puts a merge field into the case name, and the preview follows. */
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("sp-defaults_form");
  if (!form) return;
  const field = form.querySelector("[data-sp-template]");
  const shown = document.getElementById("sp-preview");
  // Until somebody stood in the field its cursor is at the very beginning, where nobody wants a merge field.
  let stood = false;
  field.addEventListener("focus", () => { stood = true; });
  let timer = 0;
  let newest = 0;
  const follow = () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const mine = (newest += 1);
      const values = new URLSearchParams(new FormData(form));
      values.delete("csrfmiddlewaretoken");
      values.delete("reason");
      try {
        const answer = await fetch(`${form.dataset.preview}?${values}`, { credentials: "same-origin" });
        const text = await answer.text();
        if (answer.ok && mine === newest) shown.innerHTML = text;
      } catch {
        /* The button beside it does the same. */
      }
    }, 300);
  };
  for (const button of form.querySelectorAll("[data-sp-insert]")) {
    button.addEventListener("click", () => {
      const end = field.value.length;
      const from = stood ? field.selectionStart : end;
      field.setRangeText(button.dataset.spInsert, from, stood ? field.selectionEnd : end, "end");
      field.focus();
      follow();
    });
  }
  if (!field.disabled) form.addEventListener("input", follow);
});
