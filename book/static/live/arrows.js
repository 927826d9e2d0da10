/* Live figure of chapter 3: a small GAN trains on the ring in the page, and each generated point
   carries the slope of the discriminator as an arrow. Nothing is loaded but kit.js. Drawn into
   <div id="arrows-live">. In Node, `require` gives the functions alone. */
(function () {
  "use strict";
  const kit = globalThis.ganlabKit || require("./kit.js");

  const BATCH = 64, WIDTH = 32, RATE = 2e-3, STD = 0.05; // STD: of each heap of the data
  const SHOWN = 150, SCORED = 500; // points with arrows; points to count modes in
  const REACH = 1.6; // half-width of the plane
  const CELLS = 44; // of the background, along each side
  const GAIN = { D: 1, loss: 0.5 }; // length of an arrow, in the plane, for a slope of 1
  const BETAS = [0.5, 0.999], LEAK = 0.2;

  /* ---- networks: linear layers, LeakyReLU between them; points in flat arrays, row by row ---- */

  function network(sizes, random) {
    return sizes.slice(1).map((to, i) => {
      const from = sizes[i], bound = 1 / Math.sqrt(from);
      const draw = (n) => Float64Array.from({ length: n }, () => (2 * random.uniform() - 1) * bound);
      const layer = { from, to, weight: draw(from * to), bias: draw(to) };
      for (const name of ["weight", "bias"]) { // its gradient and Adam's two memories
        for (const more of ["Grad", "M", "V"]) layer[name + more] = new Float64Array(layer[name].length);
      }
      return layer;
    });
  }

  /* Activations of all layers, the input first; the last is the output. */
  function forward(net, x) {
    const kept = [x];
    net.forEach((layer, k) => {
      const { from, to, weight, bias } = layer, input = kept[k], n = input.length / from;
      const out = new Float64Array(n * to), inner = k + 1 < net.length;
      for (let p = 0; p < n; p++) {
        for (let o = 0; o < to; o++) {
          let sum = bias[o];
          for (let i = 0; i < from; i++) sum += weight[o * from + i] * input[p * from + i];
          out[p * to + o] = inner && sum < 0 ? LEAK * sum : sum;
        }
      }
      kept.push(out);
    });
    return kept;
  }

  /* From the gradient at the output to that at the input; `learn` adds to the weights' gradients. */
  function backward(net, kept, above, learn) {
    for (let k = net.length - 1; k >= 0; k--) {
      const { from, to, weight, weightGrad, biasGrad } = net[k], input = kept[k], output = kept[k + 1];
      const n = input.length / from, below = new Float64Array(input.length), inner = k + 1 < net.length;
      for (let p = 0; p < n; p++) {
        for (let o = 0; o < to; o++) {
          const at = p * to + o, g = above[at] * (inner && output[at] < 0 ? LEAK : 1);
          if (g === 0) continue;
          if (learn) biasGrad[o] += g;
          for (let i = 0; i < from; i++) {
            if (learn) weightGrad[o * from + i] += g * input[p * from + i];
            below[p * from + i] += g * weight[o * from + i];
          }
        }
      }
      above = below;
    }
    return above;
  }

  function clear(net) {
    net.forEach((layer) => { layer.weightGrad.fill(0); layer.biasGrad.fill(0); });
  }

  /* One step of Adam with the stored gradients; t counts the steps of this network, from 1. */
  function adam(net, t) {
    const [b1, b2] = BETAS, c1 = 1 - b1 ** t, c2 = 1 - b2 ** t;
    for (const layer of net) for (const name of ["weight", "bias"]) {
      const [w, g, m, v] = ["", "Grad", "M", "V"].map((more) => layer[name + more]);
      for (let i = 0; i < w.length; i++) {
        m[i] += (1 - b1) * (g[i] - m[i]);
        v[i] += (1 - b2) * (g[i] * g[i] - v[i]);
        w[i] -= RATE * (m[i] / c1) / (Math.sqrt(v[i] / c2) + 1e-8);
      }
    }
  }

  /* ---- the game ---- */

  const sigmoid = (a) => (a >= 0 ? 1 / (1 + Math.exp(-a)) : Math.exp(a) / (1 + Math.exp(a)));
  const last = (kept) => kept[kept.length - 1];
  const mean = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;

  function start(seed) {
    const random = kit.random(seed), sizes = (out) => [2, WIDTH, WIDTH, out];
    return { random, G: network(sizes(2), random), D: network(sizes(1), random), dSteps: 0, gSteps: 0 };
  }

  const noise = (random, n) => Float64Array.from({ length: 2 * n }, () => random.normal());

  function real(random, n) {
    const x = noise(random, n);
    for (let p = 0; p < n; p++) {
      const angle = Math.PI / 4 * Math.floor(8 * random.uniform());
      x[2 * p] = Math.cos(angle) + STD * x[2 * p];
      x[2 * p + 1] = Math.sin(angle) + STD * x[2 * p + 1];
    }
    return x;
  }

  /* D's step: real points are called 1, generated ones 0. Nothing goes back into G. */
  function dStep(game, x, z) {
    const fake = last(forward(game.G, z));
    clear(game.D);
    [[x, 1], [fake, 0]].forEach(([points, label]) => {
      const kept = forward(game.D, points), n = points.length / 2;
      backward(game.D, kept, last(kept).map((a) => (sigmoid(a) - label) / n), true);
    });
    adam(game.D, ++game.dSteps);
  }

  /* G's step, non-saturating: through D, whose weights learn nothing. */
  function gStep(game, z) {
    const made = forward(game.G, z), judged = forward(game.D, last(made)), n = z.length / 2;
    const slope = backward(game.D, judged, last(judged).map((a) => (sigmoid(a) - 1) / n), false);
    clear(game.G);
    backward(game.G, made, slope, true);
    adam(game.G, ++game.gSteps);
  }

  function round(game) {
    dStep(game, real(game.random, BATCH), noise(game.random, BATCH));
    gStep(game, noise(game.random, BATCH));
  }

  /* At points: D, and its slope dD/dx ("D"), or what G follows, (1 - D) da/dx ("loss"). */
  function slopes(game, points, kind) {
    const kept = forward(game.D, points), d = last(kept).map(sigmoid);
    const weight = d.map((v) => (kind === "D" ? v * (1 - v) : 1 - v));
    return { d, arrows: backward(game.D, kept, weight, false) };
  }

  function score(points) {
    const modes = new Set();
    let good = 0;
    for (let p = 0; p < points.length; p += 2) {
      const angle = Math.round(Math.atan2(points[p + 1], points[p]) / (Math.PI / 4));
      const [u, v] = [Math.cos(angle * Math.PI / 4), Math.sin(angle * Math.PI / 4)];
      if (Math.hypot(points[p] - u, points[p + 1] - v) > 3 * STD) continue;
      good += 1;
      modes.add((angle + 8) % 8);
    }
    return { found: modes.size, good: good / (points.length / 2) };
  }

  if (typeof module !== "undefined" && module.exports) {
    module.exports = { start, real, noise, dStep, gStep, round, slopes, score, forward };
    return;
  }

  /* ---- the figure ---- */

  const COLORS = {
    light: { paper: [255, 255, 255], real: [0, 114, 178], fake: [213, 94, 0], arrow: "#222222" },
    dark: { paper: [28, 28, 30], real: [86, 180, 233], fake: [230, 125, 40], arrow: "#f2f2f2" },
  };
  const STYLE = `
.arrows-live { margin: 1.2em 0 1.6em; padding: 0.8em; border: 1px solid #8884; border-radius: 8px; }
.arrows-live canvas { display: block; width: 100%; max-width: 30em; aspect-ratio: 1; margin: 0 auto;
  border-radius: 4px; touch-action: pan-y; }
.arrows-live .controls { display: flex; flex-wrap: wrap; gap: 0.4em 0.6em; margin-top: 0.6em; }
.arrows-live button { flex: 1 1 7em; font: inherit; font-size: 0.88em; padding: 0.35em 0.7em; cursor: pointer;
  border: 1px solid #8888; border-radius: 6px; background: transparent; color: inherit; }
.arrows-live button:focus-visible, .arrows-live input:focus-visible {
  outline: 3px solid #56B4E9; outline-offset: 2px; }
.arrows-live fieldset { flex: 1 1 100%; display: flex; flex-wrap: wrap; gap: 0.2em 1em; border: 0;
  margin: 0; padding: 0; font-size: 0.9em; align-items: center; }
.arrows-live legend { float: left; padding: 0; width: auto; font-size: 1em; }
.arrows-live output { display: block; margin-top: 0.7em; font-size: 0.9em; line-height: 1.5;
  font-variant-numeric: tabular-nums; }`;

  function build(root) {
    let seed = 3, game = start(seed), playing = false, kind = "D", note = "";
    const shown = noise(kit.random(7), SHOWN), counted = noise(kit.random(8), SCORED);
    document.head.append(kit.element("style", { textContent: STYLE }));
    const canvas = kit.element("canvas");
    canvas.setAttribute("role", "img");
    const output = kit.element("output");
    output.setAttribute("aria-live", "polite");

    function tell() {
      const { found, good } = score(last(forward(game.G, counted)));
      const onReal = mean(slopes(game, real(kit.random(9), SCORED), "D").d);
      const onFake = mean(slopes(game, last(forward(game.G, counted)), "D").d);
      output.textContent = `Steps of D: ${game.dSteps}, of G: ${game.gSteps}. Mean D on data ` +
        `${onReal.toFixed(2)}, on generated points ${onFake.toFixed(2)}. Modes found: ${found} of 8, ` +
        `good points: ${Math.round(100 * good)} %.${note}`;
      canvas.setAttribute("aria-label", "Generated points among the eight rings of the data, each with " +
        `an arrow along the discriminator's slope. ${output.textContent}`);
    }

    function draw() {
      const ink = COLORS[document.documentElement.dataset.theme === "dark" ? "dark" : "light"];
      const side = canvas.clientWidth || 320, ratio = window.devicePixelRatio || 1;
      canvas.width = canvas.height = Math.round(side * ratio);
      const pen = canvas.getContext("2d");
      pen.scale(ratio, ratio);
      const scale = side / (2 * REACH), px = (x) => side / 2 + x * scale, py = (y) => side / 2 - y * scale;

      // the background: D over the plane, orange below one half, blue above
      const plane = new Float64Array(2 * CELLS * CELLS), cell = side / CELLS;
      for (let k = 0; k < CELLS * CELLS; k++) {
        plane[2 * k] = ((k % CELLS) + 0.5) / CELLS * 2 * REACH - REACH;
        plane[2 * k + 1] = REACH - (Math.floor(k / CELLS) + 0.5) / CELLS * 2 * REACH;
      }
      slopes(game, plane, "D").d.forEach((d, k) => {
        const tint = d > 0.5 ? ink.real : ink.fake, share = 0.8 * Math.abs(2 * d - 1);
        pen.fillStyle = `rgb(${ink.paper.map((v, c) => Math.round(v + share * (tint[c] - v))).join(" ")})`;
        pen.fillRect(Math.floor((k % CELLS) * cell), Math.floor(Math.floor(k / CELLS) * cell),
          Math.ceil(cell) + 1, Math.ceil(cell) + 1);
      });
      pen.lineWidth = 2;
      pen.strokeStyle = `rgb(${ink.real.join(" ")})`;
      for (let k = 0; k < 8; k++) {
        pen.beginPath();
        pen.arc(px(Math.cos(k * Math.PI / 4)), py(Math.sin(k * Math.PI / 4)), 3 * STD * scale, 0, 7);
        pen.stroke();
      }

      const points = last(forward(game.G, shown)), { arrows } = slopes(game, points, kind);
      pen.lineWidth = 1.2;
      pen.strokeStyle = pen.fillStyle = ink.arrow;
      for (let p = 0; p < SHOWN; p++) {
        const [x, y, a, b] = [points[2 * p], points[2 * p + 1], arrows[2 * p], arrows[2 * p + 1]];
        const size = Math.hypot(a, b), long = Math.min(0.45, GAIN[kind] * size);
        if (long * scale < 2) continue;
        const [u, v] = [x + a / size * long, y + b / size * long], turn = Math.atan2(-b, a);
        pen.beginPath();
        pen.moveTo(px(x), py(y));
        pen.lineTo(px(u), py(v));
        for (const side of [-1, 1]) {
          pen.moveTo(px(u), py(v));
          pen.lineTo(px(u) - 5 * Math.cos(turn + side * 0.5), py(v) - 5 * Math.sin(turn + side * 0.5));
        }
        pen.stroke();
      }
      pen.fillStyle = `rgb(${ink.fake.join(" ")})`;
      for (let p = 0; p < SHOWN; p++) {
        pen.beginPath();
        pen.arc(px(points[2 * p]), py(points[2 * p + 1]), 2.6, 0, 7);
        pen.fill();
      }
    }
    const update = () => { draw(); tell(); };

    const button = (text, act) => {
      const made = kit.element("button", { type: "button", textContent: text });
      made.addEventListener("click", () => act());
      return made;
    };
    const play = button("Play", () => {
      playing = !playing;
      play.textContent = playing ? "Stop" : "Play";
      if (playing) requestAnimationFrame(frame); else tell();
    });
    let count = 0;
    function frame() {
      if (!playing) return;
      for (let k = 0; k < 4; k++) round(game);
      note = "";
      draw();
      if (++count % 15 === 0) tell(); // readers of the line need time
      requestAnimationFrame(frame);
    }
    const halt = () => { if (playing) play.click(); };
    const alone = (step, words) => () => {
      halt();
      for (let k = 0; k < 20; k++) step();
      note = ` ${words}`;
      update();
    };
    const choice = (value, text) => {
      const input = kit.element("input", { type: "radio", name: "arrows-kind", value });
      input.checked = kind === value;
      input.addEventListener("change", () => { kind = value; draw(); });
      return kit.element("label", {}, [input, ` ${text}`]);
    };
    root.replaceChildren(canvas, kit.element("div", { className: "controls" }, [
      play, button("One round", () => { halt(); round(game); note = ""; update(); }),
      button("20 × only D", alone(() => dStep(game, real(game.random, BATCH), noise(game.random, BATCH)),
        "D alone has moved.")),
      button("20 × only G", alone(() => gStep(game, noise(game.random, BATCH)), "G alone has moved.")),
      button("New start", () => { halt(); game = start(++seed); note = ""; update(); }),
      kit.element("fieldset", {}, [kit.element("legend", { textContent: "Arrows:" }),
        choice("D", "slope of D"), choice("loss", "what G follows")]),
    ]), output);
    update();
    kit.redraw(canvas, draw);
    root.dataset.ready = "yes"; // for tests
  }

  kit.whenReady("arrows-live", build);
})();
