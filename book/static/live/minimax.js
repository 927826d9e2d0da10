/* The minimax game on a line, live: p_data is fixed, the reader moves p_g. Everything is computed
   here by quadrature, nothing is loaded. Drawn into <div id="minimax-live">. */
(function () {
  "use strict";
  const kit = globalThis.ganlabKit;

  const DATA = [[0.6, -1.5, 0.5], [0.4, 1.5, 0.7]]; // weight, mean, scale: the chapter's p_data
  const START = { mean: -5, scale: 0.7 };
  const LIMITS = { mean: [-7, 7, 0.05], scale: [0.3, 3, 0.05] };
  const FROM = -12, TO = 12, POINTS = 1601, DX = (TO - FROM) / (POINTS - 1);
  const VIEW = 8; // half-width of what is drawn
  const XS = Float64Array.from({ length: POINTS }, (_, i) => FROM + i * DX);
  const COLORS = {
    light: { data: "#0072B2", fake: "#D55E00", disc: "#00815E", saturating: "#6B5A00", other: "#A8457F",
             text: "#333333", faint: "#9a9a9a", rule: "#dddddd" },
    dark: { data: "#56B4E9", fake: "#FF9040", disc: "#2FCB9A", saturating: "#F0E442", other: "#F0A0CC",
            text: "#e6e6e6", faint: "#8a8a8a", rule: "#444444" },
  };

  const logNormal = (x, m, s) =>
    -0.5 * ((x - m) / s) ** 2 - Math.log(s) - 0.5 * Math.log(2 * Math.PI);
  const softplus = (a) => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a)));
  const sigmoid = (a) => Math.exp(-softplus(-a));

  /* log p_data(x) and its derivative. */
  function data(x) {
    const terms = DATA.map(([w, m, s]) => Math.log(w) + logNormal(x, m, s));
    const top = Math.max(...terms);
    let sum = 0, slope = 0;
    DATA.forEach(([, m, s], k) => {
      const part = Math.exp(terms[k] - top);
      sum += part;
      slope += part * (m - x) / (s * s);
    });
    return [top + Math.log(sum), slope / sum];
  }
  const P = Array.from(XS, (x) => data(x));

  /* What a sample at x feels: minus the derivative in x of each loss, D the best one. */
  function push(x, mean, scale, known) {
    const [logP, slopeP] = known || data(x);
    const a = logP - logNormal(x, mean, scale);
    const slope = slopeP + (x - mean) / (scale * scale); // of the logit
    return { a, saturating: sigmoid(a) * slope, other: sigmoid(-a) * slope };
  }

  /* JS, and the expected push on the mean and on log scale under each loss. */
  function measure(mean, scale) {
    const total = { js: 0, saturating: [0, 0, 0], other: [0, 0, 0] };
    for (let i = 0; i < POINTS; i++) {
      const p = Math.exp(P[i][0]), q = Math.exp(logNormal(XS[i], mean, scale));
      const felt = push(XS[i], mean, scale, P[i]);
      // p log(p/m) + q log(q/m) with m = (p+q)/2, from the logit
      total.js += 0.5 * DX * (p * (Math.LN2 - softplus(-felt.a)) + q * (Math.LN2 - softplus(felt.a)));
      for (const loss of ["saturating", "other"]) {
        total[loss][0] += DX * q * felt[loss];
        total[loss][1] += DX * q * felt[loss] * (XS[i] - mean);
        total[loss][2] += DX * q * Math.abs(felt[loss]);
      }
    }
    return total;
  }

  const clamp = (v, [low, high]) => Math.min(high, Math.max(low, v));

  /* The expected push on mean and log scale alone: every fourth point, where samples fall. */
  function slope(mean, scale, loss) {
    const total = [0, 0], reach = 7 * scale;
    const first = Math.max(0, 4 * Math.ceil((mean - reach - FROM) / (4 * DX)));
    for (let i = first; i < POINTS && XS[i] <= mean + reach; i += 4) {
      const felt = 4 * DX * Math.exp(logNormal(XS[i], mean, scale)) *
        push(XS[i], mean, scale, P[i])[loss];
      total[0] += felt;
      total[1] += felt * (XS[i] - mean);
    }
    return total;
  }

  function descend(state, loss, steps) {
    for (let k = 0; k < steps; k++) {
      const g = slope(state.mean, state.scale, loss);
      state.mean = clamp(state.mean + 0.05 * g[0], LIMITS.mean);
      state.scale = clamp(state.scale * Math.exp(0.05 * clamp(g[1], [-2, 2])), LIMITS.scale);
    }
  }

  const tidy = (v) => (Math.abs(v) >= 0.001 || v === 0 ? v.toFixed(3) : v.toExponential(1));

  /* 21 quantiles of a standard normal: the generator's samples, evenly spread. */
  const QUANTILES = (function () {
    const found = [];
    let mass = 0, next = 0.5;
    for (let z = -5; z < 5 && found.length < 21; z += 0.0005) {
      mass += 0.0005 * Math.exp(logNormal(z, 0, 1));
      if (mass * 21 >= next) { found.push(z); next += 1; }
    }
    return found;
  })();

  const STYLE = `
.minimax-live { margin: 1.2em 0 1.6em; padding: 0.8em; border: 1px solid #8884; border-radius: 8px; }
.minimax-live canvas { display: block; width: 100%; touch-action: pan-y; }
.minimax-live .controls { display: flex; flex-wrap: wrap; gap: 0.4em 1.2em; margin-top: 0.5em; }
.minimax-live label { flex: 1 1 14em; min-width: 0; font-size: 0.9em; }
.minimax-live input { display: block; width: 100%; margin: 0.2em 0; accent-color: #D55E00; }
.minimax-live button { flex: 1 1 11em; font: inherit; font-size: 0.88em; padding: 0.35em 0.7em; cursor: pointer;
  border: 1px solid #8888; border-radius: 6px; background: transparent; color: inherit; }
.minimax-live button:focus-visible, .minimax-live input:focus-visible {
  outline: 3px solid #56B4E9; outline-offset: 2px; }
.minimax-live output { display: block; margin-top: 0.7em; font-size: 0.9em; line-height: 1.5; }
.minimax-live .key { display: flex; flex-wrap: wrap; gap: 0.1em 1em; font-size: 0.85em; }
.minimax-live .key span::before { content: ""; display: inline-block; width: 1.4em; height: 0;
  margin-right: 0.4em; vertical-align: middle; border-top: 3px var(--line, solid) var(--ink); }`;

  function slider(name, label, state, changed) {
    const [min, max, step] = LIMITS[name];
    const value = kit.element("span");
    const input = kit.element("input", { type: "range", min, max, step });
    const show = () => {
      input.value = state[name];
      value.textContent = state[name].toFixed(2);
      input.setAttribute("aria-valuetext", state[name].toFixed(2));
    };
    input.addEventListener("input", () => { state[name] = Number(input.value); show(); changed(); });
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
      ["disc", "best discriminator", "solid"], ["saturating", "push, saturating", "solid"],
      ["other", "push, non-saturating", "dashed"]];
    const marks = entries.map(([, text, line]) => {
      const mark = kit.element("span", { textContent: text });
      mark.style.setProperty("--line", line);
      key.append(mark);
      return mark;
    });
    const mean = slider("mean", "Mean of the generator", state, update);
    const scale = slider("scale", "Scale of the generator", state, update);
    const button = (text, act) => {
      const made = kit.element("button", { type: "button", textContent: text });
      made.addEventListener("click", () => { act(); update(); });
      return made;
    };
    root.append(key, canvas,
      kit.element("div", { className: "controls" }, [mean.label, scale.label]),
      kit.element("div", { className: "controls" }, [
        ...[100, 1000].flatMap((steps) => [["saturating", "saturating"], ["non-saturating", "other"]]
          .map(([text, loss]) => button(`${steps.toLocaleString("en")} steps, ${text}`,
            () => descend(state, loss, steps)))),
        button("Back to the start", () => Object.assign(state, START)),
      ]), output);

    function update() {
      mean.show();
      scale.show();
      const m = measure(state.mean, state.scale);
      output.textContent = `JS = ${tidy(m.js)} (largest possible: ${tidy(Math.LN2)}). ` +
        `V at the best D = ${tidy(2 * m.js - 2 * Math.LN2)}. Mean push on a sample: ` +
        `saturating ${tidy(m.saturating[2])}, non-saturating ${tidy(m.other[2])}.`;
      canvas.setAttribute("aria-label",
        `Densities of data and generator and the best discriminator, with the generator at mean ` +
        `${state.mean.toFixed(2)} and scale ${state.scale.toFixed(2)}. ${output.textContent}`);
      draw();
    }

    function draw() {
      const theme = document.documentElement.dataset.theme === "dark" ? "dark" : "light";
      const ink = COLORS[theme];
      entries.forEach(([name], k) => marks[k].style.setProperty("--ink", ink[name]));
      const width = canvas.clientWidth || 320, ratio = window.devicePixelRatio || 1;
      const top = Math.max(150, Math.min(220, width * 0.34)), gap = 34, low = top * 0.75;
      const height = top + gap + low + 20;
      canvas.style.height = `${height}px`;
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      const pen = canvas.getContext("2d");
      pen.scale(ratio, ratio);
      const left = 30, right = width - 6;
      const px = (x) => left + (x + VIEW) / (2 * VIEW) * (right - left);
      const py = (v) => top - v * (top - 8); // densities and D, 0 to 1
      pen.font = "12px sans-serif";
      pen.textBaseline = "middle";

      const line = (xs, ys, color, dash, size) => {
        pen.beginPath();
        pen.setLineDash(dash || []);
        let on = false;
        xs.forEach((x, i) => {
          if (Number.isNaN(ys[i])) { on = false; return; }
          if (on) pen.lineTo(x, ys[i]); else pen.moveTo(x, ys[i]);
          on = true;
        });
        pen.strokeStyle = color;
        pen.lineWidth = size || 2;
        pen.stroke();
        pen.setLineDash([]);
      };
      const axis = (y, text) => {
        line([left, right], [y, y], ink.rule, [], 1);
        pen.fillStyle = ink.faint;
        pen.textAlign = "right";
        pen.fillText(text, left - 5, y);
      };
      axis(py(0), "0");
      axis(py(0.5), "½");
      axis(py(1), "1");

      const seen = [];
      for (let i = 0; i < POINTS; i++) if (Math.abs(XS[i]) <= VIEW) seen.push(i);
      const sx = seen.map((i) => px(XS[i]));
      const p = seen.map((i) => Math.exp(P[i][0]));
      const q = seen.map((i) => Math.exp(logNormal(XS[i], state.mean, state.scale)));
      pen.save();
      pen.beginPath();
      pen.rect(left, 0, right - left, top + 1);
      pen.clip();
      [[p, ink.data], [q, ink.fake]].forEach(([values, color]) => {
        pen.beginPath();
        pen.moveTo(sx[0], py(0));
        sx.forEach((x, k) => pen.lineTo(x, py(values[k])));
        pen.lineTo(sx[sx.length - 1], py(0));
        pen.globalAlpha = 0.25;
        pen.fillStyle = color;
        pen.fill();
        pen.globalAlpha = 1;
        line(sx, values.map(py), color);
      });
      // no samples, no discriminator: drawn only where there is mass
      line(sx, p.map((v, k) => (v + q[k] > 1e-4 ? py(v / (v + q[k])) : NaN)), ink.disc, [], 2.5);
      pen.restore();

      // below: the push on 21 evenly spread samples; asinh, so that small and large both show
      const middle = top + gap + low / 2;
      const reach = (v) => middle - Math.asinh(v) / Math.asinh(40) * low / 2;
      [[0, "0"], [10, "10"], [-10, "−10"], [1, "1"], [-1, "−1"]].forEach(
        ([v, text]) => axis(reach(v), text));
      pen.fillStyle = ink.text;
      pen.textAlign = "left";
      pen.fillText(right - left > 330 ? "push on each sample (up: to the right, down: to the left)"
        : "push on each sample (up: to the right)", left, top + 16);
      const places = QUANTILES.map((z) => state.mean + state.scale * z);
      const felt = places.map((x) => push(x, state.mean, state.scale));
      [["other", ink.other, [6, 4]], ["saturating", ink.saturating, []]].forEach(([loss, color, dash]) => {
        const ys = felt.map((f) => clampY(reach(f[loss])));
        line(places.map(px), ys, color, dash, 1.5);
        places.forEach((x, k) => {
          if (Math.abs(x) > VIEW) return;
          pen.beginPath();
          pen.arc(px(x), ys[k], dash.length ? 4.5 : 2.5, 0, 2 * Math.PI);
          pen.fillStyle = color;
          pen.strokeStyle = color;
          pen.lineWidth = 1.5;
          if (dash.length) pen.stroke(); else pen.fill(); // rings stay visible around dots
        });
      });
      function clampY(y) { return Math.min(middle + low / 2, Math.max(middle - low / 2, y)); }
      pen.fillStyle = ink.faint;
      pen.textAlign = "center";
      pen.textBaseline = "top";
      for (let x = -6; x <= 6; x += 3) {
        pen.fillText(String(x).replace("-", "−"), px(x), top + gap + low + 6);
      }
    }

    update();
    kit.redraw(canvas, draw);
  }

  // for tests: the same numbers that the page shows
  globalThis.minimaxLive = { measure, slope, push, descend, START };

  kit.whenReady("minimax-live", build);
})();
