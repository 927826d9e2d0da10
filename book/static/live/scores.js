/* Live figure of chapter 9: scores of a generator in the plane. The data are eight heaps on a circle; the
   reader damages the generator, and every score is computed here, beside what real samples get. Nothing is
   loaded. Drawn into <div id="scores-live">. */
(function () {
  "use strict";
  const kit = globalThis.ganlabKit || require("./kit.js");

  const COUNT = 600, MODES = 8, WIDTH = 0.16, K = 3, FLOORS = 20, REACH = 1.9;
  const COLORS = {
    light: { real: "#0072B2", fake: "#D55E00", axis: "#888888" },
    dark: { real: "#56B4E9", fake: "#FF9040", axis: "#909090" },
  };

  /* ---- numbers ---- */

  /* A sample of the generator; with no damage, of the data. */
  function sample(seed, damage, train) {
    const { missing = 0, width = 1, shift = 0, noise = 0, copies = 0 } = damage || {};
    const draw = kit.random(seed), points = [];
    for (let i = 0; i < COUNT; i++) {
      // Every point takes the same draws whatever the damage: sliders move points, not the dice.
      const [which, x, y, kind, u, v] = [draw.uniform(), draw.normal(), draw.normal(), draw.uniform(),
        draw.uniform(), draw.uniform()];
      const angle = 2 * Math.PI * Math.floor(which * (MODES - missing)) / MODES;
      let point = [Math.cos(angle) + width * WIDTH * x + shift, Math.sin(angle) + width * WIDTH * y];
      if (kind < copies && train) point = [...train[i % train.length]];
      else if (1 - kind < noise) point = [(2 * u - 1) * 1.85, (2 * v - 1) * 1.85];
      points.push(point);
    }
    return points;
  }

  const mean = (values) => values.reduce((s, v) => s + v, 0) / values.length;

  function moments(points) {
    const m = [mean(points.map((p) => p[0])), mean(points.map((p) => p[1]))];
    const over = points.length / (points.length - 1);
    const cov = (i, j) => over * mean(points.map((p) => (p[i] - m[i]) * (p[j] - m[j])));
    return { m, a: cov(0, 0), b: cov(0, 1), d: cov(1, 1) };
  }

  function frechet(real, fake) {
    const p = moments(real), q = moments(fake);
    const product = p.a * q.a + 2 * p.b * q.b + p.d * q.d; // trace of the product
    const det = Math.max(0, p.a * p.d - p.b * p.b) * Math.max(0, q.a * q.d - q.b * q.b);
    // of a 2 x 2 matrix: (tr of the root) squared = trace + 2 root of the determinant
    const cross = Math.sqrt(Math.max(0, product + 2 * Math.sqrt(det)));
    return (p.m[0] - q.m[0]) ** 2 + (p.m[1] - q.m[1]) ** 2 + p.a + p.d + q.a + q.d - 2 * cross;
  }

  /* What a set is by itself, computed once: coordinates; `cube`, the mean kernel over pairs of different
     points; `radii`, squared distance of each to its K-th neighbour; `own`, to its nearest. */
  const known = new WeakMap();
  function alone(points) {
    if (known.has(points)) return known.get(points);
    const n = points.length, x = Float64Array.from(points, (p) => p[0]), y = Float64Array.from(points, (p) => p[1]);
    const near = new Float64Array(n * K).fill(Infinity); // for each the K smallest, in order
    const keep = (i, value) => {
      let k = i * K + K - 1;
      if (value >= near[k]) return;
      for (; k > i * K && near[k - 1] > value; k--) near[k] = near[k - 1];
      near[k] = value;
    };
    let sum = 0;
    for (let i = 0; i < n; i++) {
      for (let j = i + 1; j < n; j++) {
        const dx = x[i] - x[j], dy = y[i] - y[j], far = dx * dx + dy * dy;
        keep(i, far);
        keep(j, far);
        const base = (x[i] * x[j] + y[i] * y[j]) / 2 + 1;
        sum += 2 * base * base * base;
      }
    }
    const at = (k) => Float64Array.from({ length: n }, (_, i) => near[i * K + k]);
    const found = { x, y, cube: sum / (n * (n - 1)), radii: at(K - 1), own: at(0) };
    known.set(points, found);
    return found;
  }

  /* Two sets: `sum` of the kernel, squared distances `toA` of each of b to its nearest of a and `toB`, and
     which lie in whose balls. */
  function together(a, b) {
    const n = a.x.length, m = b.x.length;
    const toA = new Float64Array(m).fill(Infinity), toB = new Float64Array(n).fill(Infinity);
    const balls = new Float64Array(m), covered = new Float64Array(n), recalled = new Float64Array(n);
    let sum = 0;
    for (let i = 0; i < n; i++) {
      const px = a.x[i], py = a.y[i], radius = a.radii[i];
      for (let j = 0; j < m; j++) {
        const dx = px - b.x[j], dy = py - b.y[j], far = dx * dx + dy * dy;
        const base = (px * b.x[j] + py * b.y[j]) / 2 + 1;
        sum += base * base * base;
        if (far < toB[i]) toB[i] = far;
        if (far < toA[j]) toA[j] = far;
        if (far < radius) { covered[i] = 1; balls[j] += 1; }
        if (far < b.radii[j]) recalled[i] = 1;
      }
    }
    return { sum, toA, toB, balls, covered, recalled };
  }

  const heldNear = new WeakMap(); // the same two sets every time
  const below = (sorted, value, equal) => { // how many are less; with `equal`, or as large
    let low = 0, high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle] < value || (equal && sorted[middle] === value)) low = middle + 1; else high = middle;
    }
    return low;
  };

  function scores(train, fake, held) {
    const real = alone(train), made = alone(fake), n = train.length, m = fake.length;
    const { sum, toA, toB, balls, covered, recalled } = together(real, made);
    if (!heldNear.has(held)) heldNear.set(held, together(real, alone(held)).toA.sort());
    const others = heldNear.get(held);
    const wins = mean(toA.map((v) => 1 - (below(others, v) + below(others, v, true)) / 2 / others.length));
    const kin = (own, other) => mean(own.map((v, i) => (v < other[i] ? 1 : 0)));
    return {
      "FID": frechet(train, fake),
      "KID": real.cube + made.cube - 2 * sum / (n * m),
      "precision": mean(balls.map((v) => (v ? 1 : 0))),
      "recall": mean(recalled),
      "density": mean(balls) / K,
      "coverage": mean(covered),
      "1-NN accuracy": (kin(real.own, toB) + kin(made.own, toA)) / 2,
      "copy test": wins,
    };
  }
  const LOWER = new Set(["FID", "KID", "1-NN accuracy", "copy test"]);

  /* Mean and standard deviation of every score of real samples. */
  function floor(train, held) {
    const rows = Array.from({ length: FLOORS }, (_, i) => scores(train, sample(10 + i), held));
    return Object.fromEntries(Object.keys(rows[0]).map((key) => {
      const values = rows.map((row) => row[key]), m = mean(values);
      return [key, [m, Math.sqrt(mean(values.map((v) => (v - m) ** 2)) * FLOORS / (FLOORS - 1))]];
    }));
  }

  /* What a score says of a set, in words, and how it is marked. Better than real samples is no praise. */
  function verdict(key, value, [m, s]) {
    const z = (LOWER.has(key) ? 1 : -1) * (value - m) / s;
    if (!(Math.abs(z) >= 3)) return { text: "not told apart", mark: "" };
    const by = `by ${Math.abs(z).toFixed(0)} s.d.`;
    if (key === "copy test") return { text: `${z > 0 ? "nearer" : "farther"} ${by}`, mark: "worse" };
    if (key === "1-NN accuracy" && z < 0) return { text: `too near ${by}`, mark: "worse" };
    return z > 0 ? { text: `worse ${by}`, mark: "worse" } : { text: `too good ${by}`, mark: "better" };
  }

  const shared = { scores, sample, floor, verdict, K, COUNT };
  globalThis.scoresLive = shared; // for tests: the same numbers that the page shows
  if (typeof document === "undefined") return;

  /* ---- the figure ---- */

  const STYLE = `
.scores-live { margin: 1.2em 0 1.6em; padding: 0.8em; border: 1px solid #8884; border-radius: 8px; }
.scores-live .both { display: flex; flex-wrap: wrap; gap: 1em; }
.scores-live .left { flex: 1 1 260px; min-width: 0; max-width: 420px; }
.scores-live canvas { display: block; width: 100%; aspect-ratio: 1; }
.scores-live .controls { flex: 1 1 260px; min-width: 0; display: flex; flex-direction: column; gap: 0.45em; }
.scores-live label { font-size: 0.9em; }
.scores-live select, .scores-live input { display: block; width: 100%; margin: 0.1em 0 0; font: inherit; }
.scores-live select { padding: 0.25em; color: inherit; border: 1px solid #8888; border-radius: 6px;
  background: var(--pst-color-background, transparent); }
.scores-live input { accent-color: #D55E00; }
.scores-live button { font: inherit; font-size: 0.88em; padding: 0.35em 0.7em; cursor: pointer;
  border: 1px solid #8888; border-radius: 6px; background: transparent; color: inherit; }
.scores-live :is(button, input, select):focus-visible { outline: 3px solid #56B4E9; outline-offset: 2px; }
.scores-live table { width: 100%; margin: 0.8em 0 0; border-collapse: collapse; font-size: 0.88em;
  font-variant-numeric: tabular-nums; }
.scores-live :is(th, td) { padding: 0.15em 0.4em; text-align: right; border: 0; }
.scores-live :is(th, td):first-child { text-align: left; font-weight: normal; }
.scores-live .told { margin: 0.6em 0 0; font-weight: bold; }
.scores-live .worse { color: #B04A00; font-weight: bold; }
.scores-live .better { color: #00639B; font-weight: bold; }
html[data-theme="dark"] .scores-live .told { margin: 0.6em 0 0; font-weight: bold; }
.scores-live .worse { color: #FF9040; }
html[data-theme="dark"] .scores-live .better { color: #56B4E9; }`;

  const digits = (v) => v.toFixed(3).replace("-", "−");
  const SLIDERS = [
    ["missing", "Heaps missing", 0, 7, 1, 0, (v) => String(v)],
    ["width", "Width of the heaps", 0.1, 2, 0.1, 1, (v) => `${v.toFixed(1)} times`],
    ["shift", "Shift to the right", 0, 1, 0.05, 0, (v) => v.toFixed(2)],
    ["noise", "Share of noise", 0, 0.5, 0.02, 0, (v) => `${Math.round(100 * v)} %`],
    ["copies", "Share of copies of training points", 0, 1, 0.05, 0, (v) => `${Math.round(100 * v)} %`],
  ];
  const BALLS = ["none", "around real points", "around generated points"];

  function build(root) {
    document.head.append(kit.element("style", { textContent: STYLE }));
    const damage = Object.fromEntries(SLIDERS.map(([key, , , , , value]) => [key, value]));
    const train = sample(1), held = sample(2);
    let seed = 100, balls = 0, fake = [];
    const real = floor(train, held);

    const canvas = kit.element("canvas");
    canvas.setAttribute("role", "img");
    const controls = kit.element("div", { className: "controls" });
    const shows = SLIDERS.map(([key, label, min, max, step, , text]) => {
      const words = kit.element("span");
      const input = kit.element("input", { type: "range", min, max, step });
      input.addEventListener("input", () => { damage[key] = Number(input.value); update(); });
      controls.append(kit.element("label", {}, [words, input]));
      return () => {
        input.value = damage[key];
        words.textContent = `${label}: ${text(damage[key])}`;
        input.setAttribute("aria-valuetext", text(damage[key]));
      };
    });
    const select = kit.element("select", {}, BALLS.map((text, i) =>
      kit.element("option", { textContent: text, value: String(i) })));
    select.addEventListener("change", () => { balls = Number(select.value); update(); });
    const again = kit.element("button", { type: "button", textContent: "Draw again" });
    again.addEventListener("click", () => { seed += 1; update(); });
    const reset = kit.element("button", { type: "button", textContent: "Undo all damage" });
    reset.addEventListener("click", () => {
      SLIDERS.forEach(([key, , , , , value]) => { damage[key] = value; });
      update();
    });
    controls.append(kit.element("label", {}, ["Balls to the neighbour number " + K, select]),
      kit.element("div", {}, [again, " ", reset]));
    const body = kit.element("tbody");
    const table = kit.element("table", {}, [kit.element("thead", {}, [kit.element("tr", {},
      ["score", "generator", "real, mean ± s.d.", "against real"].map((text) =>
        kit.element("th", { textContent: text, scope: "col" })))]), body]);
    const told = kit.element("p", { className: "told" });
    told.setAttribute("role", "status");
    root.append(kit.element("div", { className: "both" },
      [kit.element("div", { className: "left" }, [canvas]), controls]), table, told);

    function update() {
      fake = sample(seed, damage, train);
      shows.forEach((show) => show());
      const found = scores(train, fake, held);
      let alarms = 0;
      body.replaceChildren(...Object.entries(found).map(([key, value]) => {
        const { text, mark } = verdict(key, value, real[key]);
        alarms += mark ? 1 : 0;
        return kit.element("tr", {}, [kit.element("th", { textContent: key, scope: "row" }),
          kit.element("td", { textContent: digits(value) }),
          kit.element("td", { textContent: real[key].map(digits).join(" ± ") }),
          kit.element("td", { textContent: text, className: mark })]);
      }));
      told.textContent = alarms ? `${alarms} of ${body.rows.length} scores tell these points from real ones.`
        : "No score tells these points from real ones.";
      canvas.setAttribute("aria-label", `${COUNT} real and ${COUNT} generated points in the plane. ` +
        SLIDERS.map(([key, label, , , , , text]) => `${label}: ${text(damage[key])}.`).join(" "));
      draw();
    }

    function draw() {
      const theme = document.documentElement.dataset.theme === "dark" ? "dark" : "light";
      const ink = COLORS[theme];
      const side = canvas.clientWidth || 300, ratio = window.devicePixelRatio || 1;
      if (canvas.width !== Math.round(side * ratio)) {
        canvas.width = canvas.height = Math.round(side * ratio);
      }
      const pen = canvas.getContext("2d"), unit = side / 2 / REACH;
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, side, side);
      const at = ([x, y]) => [side / 2 + x * unit, side / 2 - y * unit];
      const disc = (point, radius, color, alpha) => {
        pen.beginPath();
        pen.arc(...at(point), radius, 0, 2 * Math.PI);
        pen.globalAlpha = alpha;
        pen.fillStyle = color;
        pen.fill();
        pen.globalAlpha = 1;
      };
      if (balls) {
        const points = balls === 1 ? train : fake;
        alone(points).radii.forEach((r, i) =>
          disc(points[i], Math.sqrt(r) * unit, balls === 1 ? ink.real : ink.fake, 0.07));
      }
      train.forEach((p) => disc(p, 1.7, ink.real, 0.9));
      fake.forEach((p) => disc(p, 1.7, ink.fake, 0.8));
      pen.font = "13px sans-serif";
      pen.fillStyle = ink.real;
      pen.fillText("real", 6, 16);
      pen.fillStyle = ink.fake;
      pen.fillText("generated", 6, 33);
    }

    update();
    kit.redraw(canvas, draw);
    root.dataset.ready = "true";
  }

  kit.whenReady("scores-live", build);
})();
