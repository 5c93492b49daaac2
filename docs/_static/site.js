// What furo leaves out for people without a mouse or a screen: names of the two sidebars, and focus for what scrolls.
document.addEventListener("DOMContentLoaded", () => {
  document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "Pages");
  document.querySelector(".toc-drawer")?.setAttribute("aria-label", "On this page");
  const focusable = () => {
    for (const block of document.querySelectorAll(".content pre, .content table.docutils, .content dt.sig, .content p")) {
      if (block.scrollWidth > block.clientWidth) block.tabIndex = 0;
      else block.removeAttribute("tabindex");
    }
  };
  focusable();
  addEventListener("resize", focusable);
});
