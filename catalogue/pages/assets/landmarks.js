/* Names for landmarks that the theme leaves without one, and its link to the content on pages without a table of
   contents, where the theme has none. The pages work without this script. */
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
  document.querySelectorAll("pre > code").forEach((listing) => {
    listing.tabIndex = 0;
  });
};
const addSkipLink = () => {
  const title = document.querySelector("main h1");
  if (!title || document.querySelector(".md-skip")) return;
  title.id ||= "title";
  const link = document.createElement("a");
  link.className = "md-skip";
  link.href = `#${title.id}`;
  link.textContent = "Skip to content";
  document.querySelector("[data-md-component=skip]").append(link);
};
addSkipLink();
nameLandmarks();
new MutationObserver(nameLandmarks).observe(document.body, { childList: true, subtree: true });
