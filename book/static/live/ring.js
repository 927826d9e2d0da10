/* Live figure of chapter 1: a small generator maps latent points z to the plane, in the page.
   Plain canvas, no library, no network but ring-weights.js beside this file. */
(() => {
  "use strict";
  const home = document.currentScript.src;
  const box = document.getElementById("ring-live");
  if (!box) return;

  const DATA = "#0072B2";
  const FAKE = "#D55E00";
  const N = 1000; // points shown
  const Z_LIMIT = 3.6; // half-width of the latent square
  const X_LIMIT = 1.5; // half-width of the data square
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;

  const weights = document.createElement("script");
  weights.src = new URL("ring-weights.js", home).href;
  weights.onload = () => start(window.RING_WEIGHTS);
  weights.onerror = () => {
    box.textContent = "The weights of this live figure could not be loaded.";
  };
  document.head.appendChild(weights);

  /* ---- numbers ---- */

  function unpack(record) {
    const bytes = Uint8Array.from(atob(record.weights), (c) => c.charCodeAt(0));
    const whole = new DataView(bytes.buffer);
    const count = bytes.length / 2 / record.rounds.length;
    return record.rounds.map((_, s) =>
      Float32Array.from({ length: count }, (_, i) =>
        whole.getInt16(2 * (s * count + i), true) * record.scales[s]));
  }

  /* Linear layers with ReLU between them; one point. */
  function generate(w, sizes, z) {
    let x = z;
    let at = 0;
    for (let layer = 0; layer + 1 < sizes.length; layer++) {
      const [a, b] = [sizes[layer], sizes[layer + 1]];
      const y = new Array(b);
      for (let o = 0; o < b; o++) {
        let sum = w[at + a * b + o];
        for (let i = 0; i < a; i++) sum += w[at + o * a + i] * x[i];
        y[o] = layer + 2 < sizes.length ? Math.max(0, sum) : sum;
      }
      at += a * b + b;
      x = y;
    }
    return x;
  }

  function gaussians(seed) {
    const roll = globalThis.ganlabKit.random(seed).uniform;
    return Array.from({ length: N }, () => {
      const radius = Math.sqrt(-2 * Math.log(1 - roll()));
      const angle = 2 * Math.PI * roll();
      return [radius * Math.cos(angle), radius * Math.sin(angle)];
    });
  }

  /* ---- the figure ---- */

  function start(record) {
    const snapshots = unpack(record);
    const centers = Array.from({ length: 8 }, (_, k) =>
      [Math.cos((k * Math.PI) / 4), Math.sin((k * Math.PI) / 4)]);
    const reach = 3 * record.std;
    const last = snapshots.length - 1;
    const state = { seed: 1, shown: last, spread: 1, probe: [0.6, 0.4], timer: null };
    let cloud = gaussians(state.seed);

    build();
    const latent = box.querySelector("[data-part=latent]");
    const plane = box.querySelector("[data-part=plane]");
    const round = box.querySelector("[data-part=round]");
    const spread = box.querySelector("[data-part=spread]");
    const play = box.querySelector("[data-part=play]");
    const say = (part, text) => {
      box.querySelector(`[data-part=${part}]`).textContent = text;
    };

    function build() {
      const style = document.createElement("style");
      style.textContent = `
        .ring-live{border:1px solid var(--pst-color-border,#bbb);border-radius:.4rem;
          padding:.8rem;margin:1rem 0 1.5rem;font-size:.95em}
        .ring-live .pair{display:flex;gap:.6rem}
        .ring-live figure{flex:1 1 0;min-width:0;margin:0;text-align:center}
        .ring-live figcaption{font-size:.85em;margin:0 0 .2rem;color:inherit}
        .ring-live canvas{width:100%;aspect-ratio:1;display:block;border-radius:.3rem;
          border:1px solid var(--pst-color-border,#bbb);background:var(--pst-color-background,#fff)}
        .ring-live canvas[data-part=latent]{cursor:crosshair;touch-action:none}
        .ring-live canvas:focus-visible{outline:3px solid var(--pst-color-primary,#0072B2)}
        .ring-live label{display:grid;grid-template-columns:8.5em 1fr;align-items:center;
          gap:.6rem;margin:.5rem 0}
        .ring-live input[type=range]{width:100%;accent-color:${FAKE}}
        .ring-live .buttons{display:flex;flex-wrap:wrap;gap:.5rem;margin:.6rem 0}
        .ring-live button{font:inherit;padding:.25rem .8rem;border-radius:.3rem;cursor:pointer;
          border:1px solid var(--pst-color-border,#bbb);color:inherit;
          background:var(--pst-color-surface,#f3f4f5)}
        .ring-live p{margin:.35rem 0;font-variant-numeric:tabular-nums}
        @media(max-width:480px){.ring-live label{grid-template-columns:1fr;gap:.1rem}}`;
      document.head.appendChild(style);
      box.innerHTML = `
        <div class="pair">
          <figure><figcaption>latent points z</figcaption>
            <canvas data-part="latent" tabindex="0" role="application"></canvas></figure>
          <figure><figcaption>samples x = G(z)</figcaption>
            <canvas data-part="plane" role="img"></canvas></figure>
        </div>
        <label><span>round of training</span>
          <input type="range" data-part="round" min="0" max="${last}" step="1" value="${last}"></label>
        <label><span>spread of z</span>
          <input type="range" data-part="spread" min="0" max="2" step="0.05" value="1"></label>
        <div class="buttons">
          <button type="button" data-part="play">Play the training</button>
          <button type="button" data-part="again">Draw new z</button>
        </div>
        <p data-part="score" role="status"></p>
        <p data-part="probe" role="status"></p>`;
    }

    const samples = () => cloud.map(([a, b]) =>
      generate(snapshots[state.shown], record.sizes, [a * state.spread, b * state.spread]));

    function nearest(x) {
      const away = centers.map((c) => Math.hypot(x[0] - c[0], x[1] - c[1]));
      const k = away.indexOf(Math.min(...away));
      return { mode: k, good: away[k] <= reach };
    }

    const hue = ([a, b]) => `hsl(${Math.round((Math.atan2(b, a) * 180) / Math.PI + 360) % 360} 80% 45%)`;

    /* Canvas sized to its box and the screen's pixels; the unit square is [-limit, limit]^2. */
    function pen(canvas, limit) {
      const side = canvas.clientWidth;
      const ratio = window.devicePixelRatio || 1;
      if (canvas.width !== Math.round(side * ratio)) {
        canvas.width = canvas.height = Math.round(side * ratio);
      }
      const c = canvas.getContext("2d");
      c.setTransform(ratio, 0, 0, ratio, 0, 0);
      c.clearRect(0, 0, side, side);
      const scale = side / (2 * limit);
      return { c, side, scale, at: ([a, b]) => [side / 2 + a * scale, side / 2 - b * scale] };
    }

    function dots({ c, at }, points) {
      c.globalAlpha = 0.7;
      points.forEach((p, i) => {
        const [u, v] = at(p);
        c.fillStyle = hue(cloud[i]);
        c.fillRect(u - 1.2, v - 1.2, 2.4, 2.4);
      });
      c.globalAlpha = 1;
    }

    function cross({ c, at }, p, ink) {
      const [u, v] = at(p);
      for (const [colour, width] of [[getComputedStyle(latent).backgroundColor, 5], [ink, 2]]) {
        c.strokeStyle = colour;
        c.lineWidth = width;
        c.beginPath();
        c.moveTo(u - 8, v); c.lineTo(u + 8, v);
        c.moveTo(u, v - 8); c.lineTo(u, v + 8);
        c.stroke();
      }
    }

    function paint(points) {
      const ink = getComputedStyle(box).color;
      const left = pen(latent, Z_LIMIT);
      dots(left, cloud.map(([a, b]) => [a * state.spread, b * state.spread]));
      cross(left, state.probe, ink);
      const right = pen(plane, X_LIMIT);
      right.c.strokeStyle = DATA;
      right.c.lineWidth = 2;
      for (const center of centers) {
        const [u, v] = right.at(center);
        right.c.beginPath();
        right.c.arc(u, v, reach * right.scale, 0, 2 * Math.PI);
        right.c.stroke();
      }
      dots(right, points);
      cross(right, generate(snapshots[state.shown], record.sizes, state.probe), ink);
    }

    function report(points) {
      const hits = points.map(nearest).filter((hit) => hit.good);
      const found = new Set(hits.map((hit) => hit.mode)).size;
      const share = ((100 * hits.length) / N).toFixed(1);
      const name = `round ${record.rounds[state.shown]}`;
      round.setAttribute("aria-valuetext", name);
      spread.setAttribute("aria-valuetext", `${state.spread.toFixed(2)} times normal`);
      say("score", `Now: ${name}, spread ${state.spread.toFixed(2)}. Modes found: ${found} of 8; ` +
        `good samples: ${share} %.`);
      const x = generate(snapshots[state.shown], record.sizes, state.probe);
      const where = nearest(x);
      const show = (p) => `(${p.map((t) => t.toFixed(2)).join(", ")})`;
      say("probe", `The cross: z = ${show(state.probe)} becomes x = ${show(x)}, ` +
        (where.good ? `on mode ${where.mode + 1}.` : "on no mode."));
      latent.setAttribute("aria-label",
        `Latent points. A cross at ${show(state.probe)}: move it with the arrow keys or by dragging.`);
      plane.setAttribute("aria-label",
        `Generated points and the eight circles of the data. ${found} modes found, ${share} percent good.`);
    }

    let drawn = samples();
    function draw() {
      drawn = samples();
      paint(drawn);
      report(drawn);
    }

    /* Glide from the cloud on screen to the one of the new round; only ends are measurements. */
    function glide() {
      const from = drawn;
      const to = samples();
      drawn = to;
      report(to);
      if (still) return paint(to);
      const begin = performance.now();
      const frame = (now) => {
        if (drawn !== to) return; // a later change took over
        const t = Math.min(1, (now - begin) / 350);
        paint(to.map((p, i) => [0, 1].map((j) => from[i][j] + t * (p[j] - from[i][j]))));
        if (t < 1) requestAnimationFrame(frame);
      };
      requestAnimationFrame(frame);
    }

    function show(index) {
      state.shown = index;
      round.value = index;
      glide();
    }

    function stop() {
      clearInterval(state.timer);
      state.timer = null;
      play.textContent = "Play the training";
    }

    play.addEventListener("click", () => {
      if (state.timer) return stop();
      play.textContent = "Stop";
      show(0);
      state.timer = setInterval(() => {
        if (state.shown === last) return stop();
        show(state.shown + 1);
      }, 800);
    });
    round.addEventListener("input", () => { stop(); show(Number(round.value)); });
    spread.addEventListener("input", () => { state.spread = Number(spread.value); draw(); });
    box.querySelector("[data-part=again]").addEventListener("click", () => {
      state.seed += 1;
      cloud = gaussians(state.seed);
      draw();
    });

    const clamp = (t) => Math.max(-Z_LIMIT, Math.min(Z_LIMIT, t));
    function point(event) {
      const area = latent.getBoundingClientRect();
      const unit = (2 * Z_LIMIT) / area.width;
      state.probe = [
        clamp((event.clientX - area.left - area.width / 2) * unit),
        clamp((area.top + area.height / 2 - event.clientY) * unit),
      ];
      draw();
    }
    latent.addEventListener("pointerdown", (event) => {
      latent.setPointerCapture(event.pointerId);
      point(event);
    });
    latent.addEventListener("pointermove", (event) => {
      if (latent.hasPointerCapture(event.pointerId)) point(event);
    });
    latent.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 0.5 : 0.1;
      const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
      const move = moves[event.key];
      if (!move) return;
      event.preventDefault();
      state.probe = state.probe.map((t, i) => clamp(t + step * move[i]));
      draw();
    });

    new ResizeObserver(() => paint(drawn)).observe(box);
    new MutationObserver(() => paint(drawn))
      .observe(document.documentElement, { attributeFilter: ["data-theme"] });
    draw();
    box.dataset.ready = "true";
  }
})();
