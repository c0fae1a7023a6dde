// A copy button behind each field with data-copy. Without this file the field can be marked and copied by hand.
document.addEventListener("DOMContentLoaded", () => {
  for (const field of document.querySelectorAll("[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button";
    button.textContent = field.dataset.copy;
    const told = document.createElement("span");
    told.setAttribute("role", "status");
    told.className = "sp-quiet";
    button.addEventListener("click", async () => {
      field.select();
      try {
        await navigator.clipboard.writeText(field.value);
      } catch {
        document.execCommand("copy"); // a page over http has no clipboard of its own
      }
      told.textContent = " ✔ " + field.dataset.copied;
    });
    field.after(button, told);
  }
});
