/* Names for landmarks that the theme leaves without one, the keyboard's way into what scrolls, and on paper where it
   came from. The pages work without this script. */
const nameLandmarks = () => {
  document.querySelectorAll(".md-code__nav").forEach((nav, index) => {
    nav.setAttribute("aria-label", `Listing ${index + 1}`);
  });
  document.querySelectorAll("[role=dialog]:not([aria-label])").forEach((dialog) => {
    dialog.setAttribute("aria-label", "Search");
  });
  document.querySelectorAll(".md-search-result nav").forEach((tags) => {
    tags.setAttribute("role", "none");
  });
  // Tables written in Markdown, which the theme puts in boxes that scroll.
  document.querySelectorAll(".md-typeset__scrollwrap").forEach((table, index) => {
    if (table.hasAttribute("role")) return;
    table.setAttribute("role", "region");
    table.setAttribute("aria-label", `Table ${index + 1}`);
    sizes.observe(table);
  });
};

/* What scrolls can take the focus, and only while it scrolls, so that no key is pressed in vain. */
const sizes = new ResizeObserver((changes) => {
  for (const { target } of changes) {
    const scrolls = target.scrollWidth > target.clientWidth || target.scrollHeight > target.clientHeight;
    if (scrolls) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
document.querySelectorAll(".gt-scroll, pre > code").forEach((box) => sizes.observe(box));
nameLandmarks();
new MutationObserver(nameLandmarks).observe(document.body, { childList: true, subtree: true });

const origin = document.createElement("p");
origin.className = "gt-origin";
addEventListener("beforeprint", () => {
  const today = new Date().toLocaleDateString("en-CA"); // year, month and day, where the reader is
  origin.textContent = `Printed on ${today} from ${location.href}`;
  document.querySelector("main h1").after(origin);
});
addEventListener("afterprint", () => origin.remove());
