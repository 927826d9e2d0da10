/* Two distributions on a line, live: the reader moves, splits and widens the generator's; JS and
   W1 are computed here by quadrature, nothing is loaded. Drawn into <div id="transport-live">. */
(function () {
  "use strict";
  const kit = globalThis.ganlabKit;

  const START = { theta: 3, split: 0, width: 0.2 };
  const LIMITS = { theta: [-4, 4, 0.05], split: [0, 2, 0.05], width: [0.1, 0.8, 0.02] };
  const FROM = -10, TO = 10, POINTS = 2001, DX = (TO - FROM) / (POINTS - 1);
  const VIEW = 5; // half-width of what is drawn
  const XS = Float64Array.from({ length: POINTS }, (_, i) => FROM + i * DX);
  const GRAINS = 21;
  const COLORS = {
    light: { data: "#0072B2", fake: "#D55E00", disc: "#00815E", other: "#A8457F",
             text: "#333333", faint: "#767676", rule: "#dddddd", move: "#9a9a9a" },
    dark: { data: "#56B4E9", fake: "#FF9040", disc: "#2FCB9A", other: "#F0A0CC",
            text: "#e6e6e6", faint: "#9a9a9a", rule: "#444444", move: "#8a8a8a" },
  };

  const logNormal = (x, m, s) =>
    -0.5 * ((x - m) / s) ** 2 - Math.log(s) - 0.5 * Math.log(2 * Math.PI);
  const softplus = (a) => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a)));

  /* log-densities: data one bump at 0, generator two halves around theta. */
  const logP = (x, s) => logNormal(x, 0, s.width);
  function logQ(x, s) {
    const a = logNormal(x, s.theta - s.split / 2, s.width);
    const b = logNormal(x, s.theta + s.split / 2, s.width);
    return Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b))) - Math.LN2;
  }

  /* JS, W1, the best discriminator and the best critic on the grid XS. */
  function measure(s) {
    let js = 0, w1 = 0, up = 0, down = 0, height = 0, middle = 0;
    const d = new Float64Array(POINTS), f = new Float64Array(POINTS);
    const p = new Float64Array(POINTS), q = new Float64Array(POINTS);
    for (let i = 0; i < POINTS; i++) {
      const lp = logP(XS[i], s), lq = logQ(XS[i], s), a = lp - lq;
      p[i] = Math.exp(lp);
      q[i] = Math.exp(lq);
      d[i] = Math.exp(-softplus(-a));
      js += 0.5 * DX * (p[i] * (Math.LN2 - softplus(-a)) + q[i] * (Math.LN2 - softplus(a)));
      up += DX * p[i];
      down += DX * q[i];
      w1 += DX * Math.abs(up - down);
      // slope of the best critic: 1 towards where mass is missing, 0 where nothing is moved
      const gap = down - up;
      f[i] = height;
      height += Math.abs(gap) < 1e-9 ? 0 : Math.sign(gap) * DX;
      middle += DX * f[i] * (p[i] + q[i]) / 2;
    }
    for (let i = 0; i < POINTS; i++) f[i] -= middle;
    return { js: Math.max(js, 0), w1, d, f, p, q };
  }

  /* Derivatives in theta, by central differences. */
  function slopes(s) {
    const h = 0.02;
    const right = measure({ ...s, theta: s.theta + h }), left = measure({ ...s, theta: s.theta - h });
    return { js: (right.js - left.js) / (2 * h), w1: (right.w1 - left.w1) / (2 * h) };
  }

  const clamp = (v, [low, high]) => Math.min(high, Math.max(low, v));

  function descend(s, distance, steps) {
    for (let k = 0; k < steps; k++) s.theta = clamp(s.theta - 0.1 * slopes(s)[distance], LIMITS.theta);
  }

  /* Places of GRAINS equal grains: quantiles, so that grain k goes to grain k. */
  function grains(density) {
    const found = [];
    let mass = 0;
    for (let i = 0; i < POINTS && found.length < GRAINS; i++) {
      mass += DX * density[i];
      while (found.length < GRAINS && mass * GRAINS >= found.length + 0.5) found.push(XS[i]);
    }
    return found;
  }

  const tidy = (v) => {
    const small = Math.abs(v) < 0.001 && Math.abs(v) > 1e-6;
    return (small ? v.toExponential(1) : v.toFixed(3)).replace(/^-(0\.000)$/, "$1").replace(/-/g, "−");
  };

  const STYLE = `
.transport-live { margin: 1.2em 0 1.6em; padding: 0.8em; border: 1px solid #8884; border-radius: 8px; }
.transport-live canvas { display: block; width: 100%; touch-action: pan-y; }
.transport-live .controls { display: flex; flex-wrap: wrap; gap: 0.4em 1.2em; margin-top: 0.5em; }
.transport-live label { flex: 1 1 12em; min-width: 0; font-size: 0.9em; }
.transport-live input { display: block; width: 100%; margin: 0.2em 0; accent-color: #D55E00; }
.transport-live button { flex: 1 1 9em; font: inherit; font-size: 0.88em; padding: 0.35em 0.7em; cursor: pointer;
  border: 1px solid #8888; border-radius: 6px; background: transparent; color: inherit; }
.transport-live button:focus-visible, .transport-live input:focus-visible {
  outline: 3px solid #56B4E9; outline-offset: 2px; }
.transport-live output { display: block; margin-top: 0.7em; font-size: 0.9em; line-height: 1.5; }
.transport-live .key { display: flex; flex-wrap: wrap; gap: 0.1em 1em; font-size: 0.85em; }
.transport-live .key span::before { content: ""; display: inline-block; width: 1.4em; height: 0;
  margin-right: 0.4em; vertical-align: middle; border-top: 3px var(--line, solid) var(--ink); }`;

  function slider(name, label, state, changed) {
    const [min, max, step] = LIMITS[name];
    const value = kit.element("span");
    const input = kit.element("input", { type: "range", min, max, step });
    const show = () => {
      input.value = state[name];
      value.textContent = state[name].toFixed(2).replace("-", "−");
      input.setAttribute("aria-valuetext", state[name].toFixed(2));
    };
    input.addEventListener("input", () => { state[name] = Number(input.value); changed(); });
    return { label: kit.element("label", {}, [`${label}: `, value, input]), show };
  }

  function build(root) {
    const state = { ...START };
    document.head.append(kit.element("style", { textContent: STYLE }));
    const canvas = kit.element("canvas");
    canvas.setAttribute("role", "img");
    const output = kit.element("output");
    output.setAttribute("aria-live", "polite");
    const key = kit.element("div", { className: "key" });
    const entries = [["data", "data", "solid"], ["fake", "generator", "solid"],
      ["disc", "best discriminator; JS", "solid"], ["other", "best critic, ¼ height; W₁", "dashed"]];
    const marks = entries.map(([, text, line]) => {
      const mark = kit.element("span", { textContent: text });
      mark.style.setProperty("--line", line);
      key.append(mark);
      return mark;
    });
    const sliders = [slider("theta", "Position θ of the generator", state, update),
      slider("split", "Distance of its two halves", state, update),
      slider("width", "Width of all bumps", state, update)];
    const button = (text, act) => {
      const made = kit.element("button", { type: "button", textContent: text });
      made.addEventListener("click", () => { act(); update(); });
      return made;
    };
    root.append(key, canvas,
      kit.element("div", { className: "controls" }, sliders.map((one) => one.label)),
      kit.element("div", { className: "controls" }, [
        button("20 steps down JS", () => descend(state, "js", 20)),
        button("20 steps down W₁", () => descend(state, "w1", 20)),
        button("Back to the start", () => Object.assign(state, START)),
      ]), output);

    /* JS and W1 for every theta, with the other two sliders as they stand. */
    let swept = null;
    function sweep() {
      const name = `${state.split} ${state.width}`;
      if (!swept || swept.name !== name) {
        swept = { name, theta: [], js: [], w1: [] };
        for (let t = -4; t <= 4.001; t += 0.1) {
          const found = measure({ ...state, theta: t });
          swept.theta.push(t);
          swept.js.push(found.js);
          swept.w1.push(found.w1);
        }
      }
      return swept;
    }

    let now = null;
    function update() {
      sliders.forEach((one) => one.show());
      now = measure(state);
      const slope = slopes(state);
      output.textContent = `JS = ${tidy(now.js)} (largest possible: ${tidy(Math.LN2)}), its slope ` +
        `in θ ${tidy(slope.js)}. W₁ = ${tidy(now.w1)}, its slope ${tidy(slope.w1)}.`;
      canvas.setAttribute("aria-label", "Densities of data and generator, the best discriminator, the " +
        `best critic, and the cheapest plan, with the generator at ${state.theta.toFixed(2)}, its halves ` +
        `${state.split.toFixed(2)} apart. Below, JS and W1 against θ. ${output.textContent}`);
      draw();
    }

    function draw() {
      const theme = document.documentElement.dataset.theme === "dark" ? "dark" : "light";
      const ink = COLORS[theme];
      entries.forEach(([name], k) => marks[k].style.setProperty("--ink", ink[name]));
      const width = canvas.clientWidth || 320, ratio = window.devicePixelRatio || 1;
      const top = Math.max(120, Math.min(170, width * 0.27)), plan = 62, low = 96;
      const planAt = top + 24, lowAt = planAt + plan + 46, height = lowAt + low + 20;
      canvas.style.height = `${height}px`;
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      const pen = canvas.getContext("2d");
      pen.scale(ratio, ratio);
      const left = 26, right = width - 6;
      const px = (x) => left + (x + VIEW) / (2 * VIEW) * (right - left);
      const py = (v) => top - v * (top - 10);
      pen.font = "12px sans-serif";
      pen.textBaseline = "middle";

      const line = (xs, ys, color, dash, size) => {
        pen.beginPath();
        pen.setLineDash(dash || []);
        xs.forEach((x, i) => (i ? pen.lineTo(x, ys[i]) : pen.moveTo(x, ys[i])));
        pen.strokeStyle = color;
        pen.lineWidth = size || 2;
        pen.stroke();
        pen.setLineDash([]);
      };
      const text = (words, x, y, color, align) => {
        pen.fillStyle = color;
        pen.textAlign = align || "left";
        pen.fillText(words, x, y);
      };

      // densities (scaled to the same height), discriminator, critic
      [[0, "0"], [0.5, "½"], [1, "1"]].forEach(([v, words]) => {
        line([left, right], [py(v), py(v)], ink.rule, [], 1);
        text(words, left - 5, py(v), ink.faint, "right");
      });
      const seen = [];
      for (let i = 0; i < POINTS; i += 2) if (Math.abs(XS[i]) <= VIEW) seen.push(i);
      const sx = seen.map((i) => px(XS[i]));
      const peak = Math.exp(logNormal(0, 0, state.width));
      pen.save();
      pen.beginPath();
      pen.rect(left, 0, right - left, top + 1);
      pen.clip();
      [[now.p, ink.data], [now.q, ink.fake]].forEach(([values, color]) => {
        pen.beginPath();
        pen.moveTo(sx[0], py(0));
        sx.forEach((x, k) => pen.lineTo(x, py(values[seen[k]] / peak)));
        pen.lineTo(sx[sx.length - 1], py(0));
        pen.globalAlpha = 0.4;
        pen.fillStyle = color;
        pen.fill();
        pen.globalAlpha = 1;
      });
      line(sx, seen.map((i) => py(now.d[i])), ink.disc, [], 2);
      line(sx, seen.map((i) => py(0.5 + now.f[i] / 4)), ink.other, [7, 4], 2.5);
      pen.restore();
      for (let x = -4; x <= 4; x += 2) {
        text(String(x).replace("-", "−"), px(x), top + 10, ink.faint, "center");
      }

      // the cheapest plan: grain k of the data and grain k of the generator
      const from = grains(now.p), to = grains(now.q);
      from.forEach((x, k) => line([px(x), px(to[k])], [planAt + 4, planAt + plan - 4], ink.move, [], 1));
      [[from, planAt + 4, ink.data], [to, planAt + plan - 4, ink.fake]].forEach(([places, y, color]) => {
        places.forEach((x) => {
          pen.beginPath();
          pen.arc(px(x), y, 3, 0, 2 * Math.PI);
          pen.fillStyle = color;
          pen.fill();
        });
      });
      text(right - left > 400 ? "the cheapest plan, grain by grain" : "cheapest plan", left,
        planAt + plan + 8, ink.text);

      // JS and W1 against theta
      const curves = sweep(), half = (right - left - 30) / 2;
      [["js", "JS against θ", 0.75, ink.disc, []], ["w1", "W₁ against θ", 4.6, ink.other, [7, 4]]].forEach(
        ([name, words, most, color, dash], k) => {
          const at = left + k * (half + 30);
          const cx = (t) => at + (t + 4) / 8 * half, cy = (v) => lowAt + low - v / most * (low - 4);
          line([at, at + half], [cy(0), cy(0)], ink.rule, [], 1);
          text(words, at + 2, lowAt - 8, ink.text);
          line(curves.theta.map(cx), curves[name].map(cy), color, dash, 2);
          pen.beginPath();
          pen.arc(cx(state.theta), cy(now[name]), 5, 0, 2 * Math.PI);
          pen.fillStyle = ink.fake;
          pen.fill();
          [-4, 0, 4].forEach((t) =>
            text(String(t).replace("-", "−"), cx(t), cy(0) + 11, ink.faint, "center"));
        });
    }

    update();
    kit.redraw(canvas, draw);
  }

  // for tests: the same numbers that the page shows
  globalThis.transportLive = { measure, slopes, descend, grains };

  if (typeof document !== "undefined") kit.whenReady("transport-live", build);
})();
