/* Live figure of chapter 9: scores of a generator in the plane. The data are eight heaps on a circle; the
   reader damages the generator, and every score is computed here, beside what real samples get. Nothing is
   loaded. Drawn into <div id="scores-live">. */
(function () {
  "use strict";
  const kit = globalThis.ganlabKit || require("./kit.js");

  const COUNT = 160, MODES = 8, WIDTH = 0.16, K = 3, FLOORS = 24, REACH = 1.9;
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
  const distances = (a, b) => a.map((p) => b.map((q) => Math.hypot(p[0] - q[0], p[1] - q[1])));

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

  function kernel(real, fake) { // unbiased, cubic
    const cube = (p, q) => ((p[0] * q[0] + p[1] * q[1]) / 2 + 1) ** 3;
    const within = (s) => {
      let sum = 0;
      s.forEach((p, i) => s.forEach((q, j) => { if (i !== j) sum += cube(p, q); }));
      return sum / (s.length * (s.length - 1));
    };
    return within(real) + within(fake) - 2 * mean(real.map((p) => mean(fake.map((q) => cube(p, q)))));
  }

  /* Distance to the k-th neighbour, the point itself not counted. */
  const radii = (points, k) => distances(points, points).map((row, i) =>
    row.filter((_, j) => j !== i).sort((a, b) => a - b)[k - 1]);
  const nearest = (rows, skip) => rows.map((row, i) =>
    Math.min(...(skip ? row.filter((_, j) => j !== i) : row)));

  function scores(train, fake, held) {
    const across = distances(train, fake), back = train[0] && fake.map((_, j) => across.map((r) => r[j]));
    const ballsReal = radii(train, K), ballsFake = radii(fake, K);
    let hits = 0;
    const covered = across.filter((row, i) => row.some((v) => v < ballsReal[i])).length;
    const precise = back.filter((row) => row.some((v, i) => v < ballsReal[i])).length;
    across.forEach((row, i) => row.forEach((v) => { if (v < ballsReal[i]) hits += 1; }));
    const recalled = across.filter((row) => row.some((v, j) => v < ballsFake[j])).length;
    const nearFake = nearest(back), nearHeld = nearest(distances(held, train));
    const wins = mean(nearFake.map((f) => mean(nearHeld.map((h) => (f < h ? 1 : f === h ? 0.5 : 0)))));
    const own = (points, other) => {
      const inside = nearest(distances(points, points), true);
      return mean(inside.map((v, i) => (v < other[i] ? 1 : 0)));
    };
    return {
      "FID": frechet(train, fake),
      "KID": kernel(train, fake),
      "precision": precise / fake.length,
      "recall": recalled / train.length,
      "density": hits / (K * fake.length),
      "coverage": covered / train.length,
      "1-NN accuracy": (own(train, nearest(across)) + own(fake, nearFake)) / 2,
      "copy test": wins,
    };
  }
  const LOWER = new Set(["FID", "KID", "1-NN accuracy", "copy test"]);

  const shared = { scores, sample, K };
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
.scores-live .worse { color: #B04A00; font-weight: bold; }
.scores-live .better { color: #00639B; font-weight: bold; }
html[data-theme="dark"] .scores-live .worse { color: #FF9040; }
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
    const floors = Array.from({ length: FLOORS }, (_, i) => scores(train, sample(10 + i), held));
    const floor = Object.fromEntries(Object.keys(floors[0]).map((key) => {
      const values = floors.map((row) => row[key]), m = mean(values);
      return [key, [m, Math.sqrt(mean(values.map((v) => (v - m) ** 2)) * FLOORS / (FLOORS - 1))]];
    }));

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
    root.append(kit.element("div", { className: "both" },
      [kit.element("div", { className: "left" }, [canvas]), controls]), table);

    function update() {
      fake = sample(seed, damage, train);
      shows.forEach((show) => show());
      const found = scores(train, fake, held);
      body.replaceChildren(...Object.entries(found).map(([key, value]) => {
        const [m, s] = floor[key], z = (LOWER.has(key) ? 1 : -1) * (value - m) / s;
        const cell = kit.element("td", { textContent: Math.abs(z) < 3 ? "like real"
          : `${z > 0 ? "worse" : "better"} by ${Math.abs(z).toFixed(0)} s.d.` });
        if (Math.abs(z) >= 3) cell.className = z > 0 ? "worse" : "better";
        return kit.element("tr", {}, [kit.element("th", { textContent: key, scope: "row" }),
          kit.element("td", { textContent: digits(value) }),
          kit.element("td", { textContent: `${digits(m)} ± ${digits(s)}` }), cell]);
      }));
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
        radii(points, K).forEach((r, i) =>
          disc(points[i], r * unit, balls === 1 ? ink.real : ink.fake, 0.09));
      }
      train.forEach((p) => disc(p, 2.4, ink.real, 0.9));
      fake.forEach((p) => disc(p, 2.4, ink.fake, 0.9));
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
