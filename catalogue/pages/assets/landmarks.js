/* Names for landmarks that the theme leaves without one. The pages work without this script. */
const nameLandmarks = () => {
  document.querySelectorAll(".md-code__nav").forEach((nav, index) => {
    nav.setAttribute("aria-label", `Listing ${index + 1}`);
  });
  document.querySelectorAll("[role=dialog]:not([aria-label])").forEach((dialog) => {
    dialog.setAttribute("aria-label", "Search");
  });
  document.querySelectorAll("pre > code").forEach((listing) => {
    listing.tabIndex = 0;
  });
};
nameLandmarks();
new MutationObserver(nameLandmarks).observe(document.body, { childList: true, subtree: true });
