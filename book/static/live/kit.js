/* What the live figures share: seeded random numbers, elements, when to start, when to draw again.
  A page loads this file before the figure's own. In Node, `require` gives the functions. */
(function () {
  "use strict";

  /* A seeded source (mulberry32): uniform numbers in [0, 1), and standard normal ones (Box and
    Muller), each from two of them. */
  function random(seed) {
    let state = seed >>> 0;
    const uniform = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
    return { uniform, normal };
  }

  /* A standard normal vector of this seed. */
  function normals(seed, length) {
    const { normal } = random(seed);
    return Array.from({ length }, () => normal());
  }

  function element(tag, properties, children) {
    const made = Object.assign(document.createElement(tag), properties || {});
    (children || []).forEach((child) => made.append(child));
    return made;
  }

  function whenLoaded(start) {
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
    else start();
  }

  /* Build a figure once, as soon as the page is there, if it holds the figure's element. */
  function whenReady(id, build) {
    whenLoaded(() => {
      const root = document.getElementById(id);
      if (root && !root.dataset.built) { root.dataset.built = "yes"; build(root); }
    });
  }

  /* Load a figure when its element comes near the screen. */
  function whenNear(id, height, load) {
    whenLoaded(() => {
      const root = document.getElementById(id);
      if (!root) return;
      if (!("IntersectionObserver" in window)) { load(root); return; }
      root.style.minHeight = height; // so that the page does not jump
      const observer = new IntersectionObserver((entries) => {
        if (entries.some((entry) => entry.isIntersecting)) { observer.disconnect(); load(root); }
      }, { rootMargin: "400px" });
      observer.observe(root);
    });
  }

  /* Values around [-1, 1], channel by channel (1 or 3) and row by row, as a square picture. */
  function picture(values, channels) {
    const area = values.length / channels, side = Math.sqrt(area);
    const pixels = new ImageData(side, side);
    for (let i = 0; i < area; i++) {
      for (let c = 0; c < 3; c++) { // Uint8ClampedArray clamps and rounds
        pixels.data[4 * i + c] = (values[channels === 1 ? i : c * area + i] + 1) * 127.5;
      }
      pixels.data[4 * i + 3] = 255;
    }
    return pixels;
  }

  /* Load the scripts `names` that lie beside the script `own`, whose address is `here`. */
  function scripts(here, own, names) {
    return Promise.all(names.map((name) => new Promise((done, failed) => {
      const script = element("script", { src: here.replace(own, name) });
      script.addEventListener("load", done);
      script.addEventListener("error", failed);
      document.head.append(script);
    })));
  }

  /* Draw again when the canvas gets another width, or the page other colours. */
  function redraw(canvas, draw) {
    let last = 0;
    new ResizeObserver(() => {
      if (canvas.clientWidth !== last) { last = canvas.clientWidth; draw(); }
    }).observe(canvas);
    new MutationObserver(draw).observe(document.documentElement,
      { attributes: true, attributeFilter: ["data-theme"] });
  }

  const kit = { random, normals, element, whenReady, whenNear, redraw, picture, scripts };
  if (typeof module !== "undefined" && module.exports) module.exports = kit;
  globalThis.ganlabKit = kit;
})();
