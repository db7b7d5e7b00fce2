// A button with the class "copy" copies the text of the code element before it.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  const code = button.parentElement.querySelector("code");
  let word = "Copied";
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    // A page opened as a file may not access the clipboard: select the text instead.
    getSelection().selectAllChildren(code);
    word = document.execCommand("copy") ? "Copied" : "Selected";
  }
  button.textContent = word;
  setTimeout(() => (button.textContent = "Copy"), 1500);
});
