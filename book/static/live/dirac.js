/* Live figure of chapter 5: the Dirac-GAN's phase plane. Data at 0, a generator of one point theta, a
   discriminator with one slope psi. The reader chooses objective, remedy, steps and start; the path is
   computed here, nothing is loaded. Drawn into <div id="dirac-live">. */
(function () {
  "use strict";
  const kit = globalThis.ganlabKit;

  const REACH = 2.6; // half-width of the plane
  const START = [1, 1];
  const COLORS = {
    light: { path: "#D55E00", start: "#00815E", arrow: "#b5b5b5", axis: "#888888", text: "#333333" },
    dark: { path: "#FF9040", start: "#2FCB9A", arrow: "#5c5c5c", axis: "#909090", text: "#e6e6e6" },
  };

  /* ---- the game ---- */

  const sigmoid = (a) => (a >= 0 ? 1 / (1 + Math.exp(-a)) : Math.exp(a) / (1 + Math.exp(a)));
  const step01 = (inside) => (inside ? 1 : 0);

  /* Derivatives of the losses in the logits. real: of D's loss in the real logit; fake: in the
     generated one; g: of G's loss in the generated one. offset: the logit at x = 0. */
  const separate = (real, fake, g, offset) => ({ real, fake, g, offset: offset || 0 });
  const OBJECTIVES = {
    "minimax": separate((a) => -sigmoid(-a), sigmoid, (a) => -sigmoid(a)),
    "non-saturating": separate((a) => -sigmoid(-a), sigmoid, (a) => -sigmoid(-a)),
    "least squares, labels 0, 1, 1": separate((a) => a - 1, (a) => a, (a) => a - 1, 0.5),
    "least squares, labels −1, 1, 0": separate((a) => a - 1, (a) => a + 1, (a) => a),
    "Wasserstein": separate(() => -1, () => 1, () => -1),
    "hinge": separate((a) => -step01(a < 1), (a) => step01(a > -1), () => -1),
    "relativistic": { pairs: true, offset: 0 },
    "relativistic average": { average: true, offset: 0 },
  };

  /* name: what the slider means, its range and start value; smooth: has a linear part at (0, 0) */
  const REMEDIES = {
    "none": null,
    "R1, R2 or zero-centred penalty": { key: "r1", label: "γ", max: 3, value: 0.5, smooth: true },
    "one-centred penalty (WGAN-GP, DRAGAN)": { key: "gp", label: "weight", max: 2, value: 0.2 },
    "one-sided penalty": { key: "lp", label: "weight", max: 2, value: 0.2, smooth: true },
    "weight clipping": { key: "clip", label: "bound", max: 2, value: 0.5, smooth: true },
    "instance noise": { key: "noise", label: "standard deviation", max: 2, value: 1, smooth: true },
  };
  const RULES = ["in turns (D, then G)", "both at once", "extra-gradient", "flow (tiny steps)"];

  /* Equally likely normal quantiles, scaled to variance 1: twelve, as in the chapter. */
  const QUANTILES = (function () {
    const count = 12, found = [], width = 1e-4;
    let mass = 0;
    for (let z = -6; z < 6 && found.length < count; z += width) {
      mass += width * Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI);
      if (mass >= (found.length + 0.5) / count) found.push(z);
    }
    const mean = found.reduce((s, v) => s + v, 0) / count;
    const centred = found.map((v) => v - mean);
    const size = Math.sqrt(centred.reduce((s, v) => s + v * v, 0) / count);
    return centred.map((v) => v / size);
  })();

  const mean = (values) => values.reduce((s, v) => s + v, 0) / values.length;

  /* v = minus the gradient of each player's own loss, at (theta, psi). */
  function field(game, theta, psi) {
    const goal = OBJECTIVES[game.objective];
    const std = game.remedy === "noise" ? game.strength : 0;
    const noise = std > 0 ? QUANTILES.map((q) => std * q) : [0];
    const logit = (x) => psi * x + goal.offset;
    let onTheta, onPsi; // gradients
    if (goal.pairs) {
      onTheta = onPsi = 0;
      for (const e of noise) for (const h of noise) {
        const x = theta + h - e; // generated minus real point
        onPsi += sigmoid(psi * x) * x;
        onTheta -= sigmoid(-psi * x) * psi;
      }
      onTheta /= noise.length ** 2;
      onPsi /= noise.length ** 2;
    } else if (goal.average) {
      // logits against the other side's mean logit; the noise has mean 0
      const above = noise.map((e) => e - theta), below = noise.map((e) => e + theta);
      onPsi = mean(above.map((x) => -sigmoid(-psi * x) * x)) +
        mean(below.map((x) => sigmoid(psi * x) * x));
      onTheta = -psi * (mean(below.map((x) => sigmoid(-psi * x))) +
        mean(above.map((x) => sigmoid(psi * x))));
    } else {
      onPsi = mean(noise.map((e) => goal.real(logit(e)) * e)) +
        mean(noise.map((e) => goal.fake(logit(theta + e)) * (theta + e)));
      onTheta = mean(noise.map((e) => goal.g(logit(theta + e)) * psi));
    }
    const size = Math.abs(psi);
    if (game.remedy === "r1") onPsi += game.strength * psi;
    if (game.remedy === "gp") onPsi += 2 * game.strength * (size - 1) * Math.sign(psi);
    if (game.remedy === "lp") onPsi += 2 * game.strength * Math.max(0, size - 1) * Math.sign(psi);
    return [-onTheta, -onPsi];
  }

  /* One round on a state [theta, psi, momentum of theta, momentum of psi]. */
  function round(game, state) {
    const { eta, momentum } = game;
    const clip = (psi) => (game.remedy === "clip"
      ? Math.max(-game.strength, Math.min(game.strength, psi)) : psi);
    let [theta, psi, m, n] = state;
    if (game.rule === 3) { // Runge-Kutta, one step for each eta
      const at = (h, v) => field(game, theta + h * v[0], psi + h * v[1]);
      const a = field(game, theta, psi), b = at(eta / 2, a), c = at(eta / 2, b), d = at(eta, c);
      return [theta + eta / 6 * (a[0] + 2 * b[0] + 2 * c[0] + d[0]),
        clip(psi + eta / 6 * (a[1] + 2 * b[1] + 2 * c[1] + d[1])), 0, 0];
    }
    let v = field(game, theta, psi);
    if (game.rule === 2) {
      v = field(game, theta + eta * v[0], clip(psi + eta * v[1]));
      return [theta + eta * v[0], clip(psi + eta * v[1]), 0, 0];
    }
    n = momentum * n + v[1];
    const tilted = clip(psi + eta * n);
    if (game.rule === 0) v = field(game, theta, tilted);
    m = momentum * m + v[0];
    return [theta + eta * m, tilted, m, n];
  }

  function path(game, start, rounds) {
    const states = [[...start, 0, 0]];
    for (let k = 0; k < rounds; k++) {
      const next = round(game, states[k]);
      if (!next.every(Number.isFinite) || Math.hypot(next[0], next[1]) > 1e6) break;
      states.push(next);
    }
    return states;
  }

  /* Eigenvalues of the field's Jacobian at the equilibrium, by central differences. */
  function eigenvalues(game) {
    const h = 1e-4;
    const [a, c] = field(game, h, 0).map((v, i) => (v - field(game, -h, 0)[i]) / (2 * h));
    const [b, d] = field(game, 0, h).map((v, i) => (v - field(game, 0, -h)[i]) / (2 * h));
    const half = (a + d) / 2, inside = half * half - (a * d - b * c);
    const root = Math.sqrt(Math.abs(inside));
    return inside >= 0 ? [[half + root, 0], [half - root, 0]] : [[half, root], [half, -root]];
  }

  /* Spectral radius of a round: the Jacobian squared again and again. */
  function radius(game) {
    const h = 1e-5, size = 4;
    let m = Array.from({ length: size }, () => new Array(size).fill(0));
    for (let j = 0; j < size; j++) {
      const at = (s) => round(game, Array.from({ length: size }, (_, i) => (i === j ? s : 0)));
      const up = at(h), down = at(-h);
      for (let i = 0; i < size; i++) m[i][j] = (up[i] - down[i]) / (2 * h);
    }
    let log = 0; // log of |M^(2^k)| / 2^k
    for (let k = 0, power = 1; k < 40; k++, power *= 2) {
      const norm = Math.max(...m.map((row) => Math.max(...row.map(Math.abs))));
      if (norm === 0) return 0;
      log += Math.log(norm) / power;
      m = m.map((row) => row.map((v) => v / norm));
      m = m.map((row) => m[0].map((_, j) => row.reduce((s, v, i) => s + v * m[i][j], 0)));
    }
    return Math.exp(log);
  }

  const shared = { OBJECTIVES, REMEDIES, field, round, path, eigenvalues, radius };
  globalThis.diracLive = shared; // for tests: the same numbers that the page shows
  if (typeof document === "undefined") return;

  /* ---- the figure ---- */

  const STYLE = `
.dirac-live { margin: 1.2em 0 1.6em; padding: 0.8em; border: 1px solid #8884; border-radius: 8px; }
.dirac-live .both { display: flex; flex-wrap: wrap; gap: 1em; }
.dirac-live .both > canvas { flex: 1 1 260px; min-width: 0; max-width: 420px; width: 100%; aspect-ratio: 1;
  align-self: flex-start; cursor: crosshair; touch-action: none; border-radius: 4px; }
.dirac-live .controls { flex: 1 1 240px; min-width: 0; display: flex; flex-direction: column; gap: 0.5em; }
.dirac-live label { font-size: 0.9em; }
.dirac-live select, .dirac-live input { display: block; width: 100%; margin: 0.15em 0 0; font: inherit; }
.dirac-live select { padding: 0.25em; color: inherit; border: 1px solid #8888; border-radius: 6px;
  background: var(--pst-color-background, transparent); }
.dirac-live input { accent-color: #D55E00; }
.dirac-live .buttons { display: flex; flex-wrap: wrap; gap: 0.5em; }
.dirac-live button { flex: 1 1 7em; font: inherit; font-size: 0.88em; padding: 0.35em 0.7em; cursor: pointer;
  border: 1px solid #8888; border-radius: 6px; background: transparent; color: inherit; }
.dirac-live :is(button, input, select, canvas):focus-visible { outline: 3px solid #56B4E9; outline-offset: 2px; }
.dirac-live output { display: block; margin-top: 0.7em; font-size: 0.9em; line-height: 1.5;
  font-variant-numeric: tabular-nums; }`;

  const tidy = (v) => {
    const size = Math.abs(v);
    if (size < 1e-9) return "0";
    const text = size < 5e-4 ? v.toExponential(0) : size >= 1000 ? v.toExponential(1)
      : v.toFixed(size < 10 ? 3 : 1);
    return text.replace(/-/g, "−");
  };

  function build(root) {
    const game = { objective: "Wasserstein", remedy: null, strength: 0.5, eta: 0.2, momentum: 0, rule: 0 };
    const state = { start: [...START], rounds: 300, shown: Infinity, timer: 0 };
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    document.head.append(kit.element("style", { textContent: STYLE }));
    const canvas = kit.element("canvas", { tabIndex: 0 });
    canvas.setAttribute("role", "application");
    const output = kit.element("output");
    output.setAttribute("aria-live", "polite");

    function choice(label, options, changed) {
      const select = kit.element("select", {}, options.map((text, i) =>
        kit.element("option", { textContent: text, value: String(i) })));
      select.addEventListener("change", () => { changed(Number(select.value)); update(); });
      return { label: kit.element("label", {}, [label, select]), select };
    }

    function slider(name, key, [min, max, step]) {
      const words = kit.element("span");
      const input = kit.element("input", { type: "range", min, max, step });
      const box = kit.element("label", {}, [words, input]);
      const show = () => {
        const value = key === "rounds" ? state.rounds : game[key];
        input.value = value;
        const text = key === "rounds" ? String(value) : value.toFixed(2).replace("-", "−");
        words.textContent = `${typeof name === "function" ? name() : name}: ${text}`;
        input.setAttribute("aria-valuetext", text);
      };
      input.addEventListener("input", () => {
        if (key === "rounds") state.rounds = Number(input.value); else game[key] = Number(input.value);
        update();
      });
      return { box, show, input };
    }

    const goals = Object.keys(OBJECTIVES), cures = Object.keys(REMEDIES);
    const objective = choice("Objective", goals, (i) => { game.objective = goals[i]; });
    const remedy = choice("Remedy", cures, (i) => {
      const chosen = REMEDIES[cures[i]];
      game.remedy = chosen ? chosen.key : null;
      if (chosen) { game.strength = chosen.value; strength.input.max = chosen.max; }
    });
    const rule = choice("Steps", RULES, (i) => { game.rule = i; });
    objective.select.value = String(goals.indexOf(game.objective));
    const strength = slider(() => cure().label, "strength", [0, 3, 0.05]);
    const eta = slider("Step size η", "eta", [0.02, 1, 0.02]);
    const momentum = slider("Momentum", "momentum", [-0.9, 0.9, 0.1]);
    const rounds = slider("Rounds", "rounds", [20, 2000, 20]);
    const cure = () => Object.values(REMEDIES).find((r) => r && r.key === game.remedy) || { label: "" };

    const play = kit.element("button", { type: "button", textContent: "Play" });
    const home = kit.element("button", { type: "button", textContent: "Start at (1, 1)" });
    root.append(kit.element("div", { className: "both" }, [canvas,
      kit.element("div", { className: "controls" }, [objective.label, remedy.label, strength.box, rule.label,
        eta.box, momentum.box, rounds.box, kit.element("div", { className: "buttons" }, [play, home])])]),
    output);

    let states = [];
    function update() {
      stop();
      strength.box.style.display = game.remedy ? "" : "none";
      momentum.box.style.display = game.rule < 2 ? "" : "none";
      const played = game.rule < 2 ? game : { ...game, momentum: 0 };
      [strength, eta, momentum, rounds].forEach((each) => each.show());
      states = path(played, state.start, state.rounds);
      report(played);
      draw();
    }

    function report(played) {
      const last = states[states.length - 1];
      const gone = states.length <= state.rounds;
      const smooth = !game.remedy || cure().smooth;
      const lambda = eigenvalues(played);
      const [[re, im], [other]] = lambda;
      const pair = im < 1e-6 ? `${tidy(re)} and ${tidy(other)}`
        : `${Math.abs(re) < 1e-6 ? "" : `${tidy(re)} `}± ${tidy(im)} i`;
      const rho = radius(played);
      const verdict = Math.abs(rho - 1) < 2e-5 ? "1: rotates, higher orders decide"
        : `${rho.toFixed(4)}: ${rho < 1 ? "converges" : "leaves"}`;
      output.textContent = (smooth
        ? `At the equilibrium: eigenvalues of the flow ${pair}; ` +
          `spectral radius of a round ${verdict}. `
        : "At the equilibrium this penalty has a kink: no eigenvalues. ") +
        (gone ? `The path left for good after ${states.length} rounds.`
          : `Distance ${tidy(Math.hypot(...state.start))} at the start, ` +
            `${tidy(Math.hypot(last[0], last[1]))} after ${state.rounds} rounds ` +
            `(θ = ${tidy(last[0])}, ψ = ${tidy(last[1])}).`);
      canvas.setAttribute("aria-label",
        `Phase plane, generator from left to right, slope from below to above. Start at ` +
        `(${state.start.map(tidy).join(", ")}): move it with the arrow keys or by dragging. ` +
        output.textContent);
    }

    function draw() {
      const theme = document.documentElement.dataset.theme === "dark" ? "dark" : "light";
      const ink = COLORS[theme];
      const side = canvas.clientWidth || 300, ratio = window.devicePixelRatio || 1;
      if (canvas.width !== Math.round(side * ratio)) {
        canvas.width = canvas.height = Math.round(side * ratio);
      }
      const pen = canvas.getContext("2d");
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.clearRect(0, 0, side, side);
      const at = (theta, psi) => [side / 2 * (1 + theta / REACH), side / 2 * (1 - psi / REACH)];
      const line = (points, color, width) => {
        pen.beginPath();
        points.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
        pen.strokeStyle = color;
        pen.lineWidth = width;
        pen.stroke();
      };
      line([at(-REACH, 0), at(REACH, 0)], ink.axis, 1);
      line([at(0, -REACH), at(0, REACH)], ink.axis, 1);
      const length = side / 36;
      for (let i = -5; i <= 5; i++) {
        for (let j = -5; j <= 5; j++) {
          const place = [i * REACH / 5.5, j * REACH / 5.5];
          const v = field(game, ...place), size = Math.hypot(...v);
          if (size < 1e-9) continue;
          const [x, y] = at(...place), [dx, dy] = [length * v[0] / size, -length * v[1] / size];
          line([[x - dx, y - dy], [x + dx, y + dy]], ink.arrow, 1.2);
          line([[x + dx - 0.45 * (dx - dy), y + dy - 0.45 * (dy + dx)], [x + dx, y + dy],
            [x + dx - 0.45 * (dx + dy), y + dy - 0.45 * (dy - dx)]], ink.arrow, 1.2);
        }
      }
      const seen = states.slice(0, Math.min(states.length, state.shown + 1));
      line(seen.map((s) => at(s[0], s[1])), ink.path, 1.3);
      pen.fillStyle = ink.path;
      if (seen.length <= 150) {
        seen.forEach((s) => { const [x, y] = at(s[0], s[1]); pen.fillRect(x - 1.5, y - 1.5, 3, 3); });
      }
      const [ex, ey] = at(...seen[seen.length - 1]);
      pen.fillRect(ex - 4, ey - 4, 8, 8);
      const [sx, sy] = at(...state.start);
      pen.beginPath();
      pen.arc(sx, sy, 6, 0, 2 * Math.PI);
      pen.fillStyle = ink.start;
      pen.fill();
      pen.fillStyle = ink.text;
      pen.font = "13px sans-serif";
      pen.textAlign = "right";
      pen.fillText("θ, the generator", side - 4, side / 2 - 5);
      pen.textAlign = "left";
      pen.fillText("ψ, the slope", side / 2 + 5, 14);
    }

    function stop() {
      cancelAnimationFrame(state.timer);
      state.shown = Infinity;
      play.textContent = "Play";
    }

    play.addEventListener("click", () => {
      if (play.textContent === "Stop" || still) { stop(); draw(); return; }
      play.textContent = "Stop";
      const begin = performance.now(), whole = Math.min(12000, 40 * states.length);
      const frame = (now) => {
        state.shown = Math.max(0, Math.floor((now - begin) / whole * states.length));
        if (state.shown >= states.length) stop(); else state.timer = requestAnimationFrame(frame);
        draw();
      };
      state.timer = requestAnimationFrame(frame);
    });
    home.addEventListener("click", () => { state.start = [...START]; update(); });

    const clamp = (v) => Math.max(-REACH, Math.min(REACH, v));
    const put = (event) => {
      const area = canvas.getBoundingClientRect();
      state.start = [clamp(((event.clientX - area.left) / area.width * 2 - 1) * REACH),
        clamp((1 - (event.clientY - area.top) / area.height * 2) * REACH)];
      update();
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      put(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (canvas.hasPointerCapture(event.pointerId)) put(event);
    });
    canvas.addEventListener("keydown", (event) => {
      const size = event.shiftKey ? 0.5 : 0.1;
      const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
      const move = moves[event.key];
      if (!move) return;
      event.preventDefault();
      state.start = state.start.map((v, i) => clamp(v + size * move[i]));
      update();
    });

    update();
    kit.redraw(canvas, draw);
    root.dataset.ready = "true";
  }

  kit.whenReady("dirac-live", build);
})();
