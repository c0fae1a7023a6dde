// Text that was typed into the form below is lost when another button is used: ask first. The page works without this.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
    const form = document.getElementById("case_form");
    if (!form) {
        return;
    }
    let touched = false;
    form.addEventListener("input", () => { touched = true; });
    form.addEventListener("change", () => { touched = true; });
    const question = document.querySelector("[data-unsaved]")?.dataset.unsaved;
    for (const act of document.querySelectorAll("form.case-act")) {
        act.addEventListener("submit", (event) => {
            if (touched && !window.confirm(question)) {
                event.preventDefault();
            }
        });
    }
});
