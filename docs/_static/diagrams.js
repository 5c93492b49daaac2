// Draws the Mermaid diagrams, which are code blocks without this.
document.addEventListener("DOMContentLoaded", () => {
  const theme = document.body.dataset.theme;
  const dark = theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  // The dark theme's own labels have too little contrast.
  const themeVariables = dark ? { edgeLabelBackground: "#333" } : {};
  mermaid.initialize({ startOnLoad: false, theme: dark ? "dark" : "default", themeVariables, securityLevel: "strict" });
  for (const block of document.querySelectorAll(".highlight-mermaid")) {
    const drawing = document.createElement("pre");
    drawing.className = "mermaid";
    drawing.textContent = block.querySelector("pre").textContent;
    block.replaceWith(drawing);
  }
  mermaid.run().then(() => dispatchEvent(new Event("resize"))); // site.js looks once more at what scrolls
});
