// Draws the Mermaid diagrams, which are code blocks without this.
document.addEventListener("DOMContentLoaded", () => {
  const theme = document.body.dataset.theme;
  const dark = theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  mermaid.initialize({ startOnLoad: false, theme: dark ? "dark" : "default", securityLevel: "strict" });
  for (const block of document.querySelectorAll(".highlight-mermaid")) {
    const drawing = document.createElement("pre");
    drawing.className = "mermaid";
    drawing.textContent = block.querySelector("pre").textContent;
    block.replaceWith(drawing);
  }
  mermaid.run();
});
