// Larger and smaller figures: the drawing grows inside its own scrolling region, around what is in its middle.
(function () {
  "use strict";
  var STEP = 1.6, MOST = 24;
  document.querySelectorAll("figure .zoom").forEach(function (bar) {
    var region = bar.parentNode.querySelector(".wide"), drawing = region.querySelector("svg"), scale = 1;
    function zoom(to, atX) {
      to = Math.min(MOST, Math.max(1, to));
      var box = region.getBoundingClientRect(), x = atX === undefined ? box.width / 2 : atX - box.left;
      var share = (region.scrollLeft + x) / drawing.getBoundingClientRect().width;
      scale = to;
      drawing.style.width = 100 * scale + "%";
      region.style.maxHeight = scale > 1 ? "80vh" : "";
      region.style.overflowY = scale > 1 ? "auto" : "";
      region.scrollLeft = share * drawing.getBoundingClientRect().width - x;
    }
    bar.hidden = false;
    bar.addEventListener("click", function (event) {
      var way = event.target.getAttribute("data-zoom");
      if (way) zoom(way === "in" ? scale * STEP : scale / STEP);
    });
    region.addEventListener("keydown", function (event) {
      if (event.key === "+" || event.key === "=") zoom(scale * STEP);
      else if (event.key === "-") zoom(scale / STEP);
      else if (event.key === "0") zoom(1);
      else return;
      event.preventDefault();
    });
    region.addEventListener("wheel", function (event) {
      if (!event.ctrlKey) return;
      event.preventDefault();
      zoom(event.deltaY < 0 ? scale * 1.2 : scale / 1.2, event.clientX);
    }, { passive: false });
  });
})();
