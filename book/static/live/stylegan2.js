/* Live figure of chapter 11: a trained StyleGAN2 generator. Two pictures from seeds; between them,
  sliders for interpolation in W, truncation, style mixing and the first principal directions of W.
  Drawn into <div id="stylegan2-live">. The arithmetic is in stylegan2-net.js and the weights in
  stylegan2-weights.js beside this file; both are loaded when the figure comes near the screen. */
(function () {
  "use strict";
  const kit = globalThis.ganlabKit;

  const QUICK = 40; // milliseconds: slower pictures are drawn small while a slider moves
  const REST = 160; // milliseconds without a change before the whole picture follows
  const LARGEST = 4294967295;
  const STYLE = `
.stylegan2-live { margin: 1.2em 0 1.6em; padding: 0.8em; border: 1px solid #8884;
  border-radius: 8px; font-size: 0.95em; }
.stylegan2-live .pictures { display: flex; justify-content: center; align-items: flex-end;
  gap: 4%; }
.stylegan2-live figure { margin: 0; text-align: center; flex: 0 1 8em; min-width: 0; }
.stylegan2-live figure.result { flex: 0 1 16em; }
.stylegan2-live figcaption { font-size: 0.9em; margin-top: 0.3em; color: inherit; }
.stylegan2-live canvas { display: block; width: 100%; aspect-ratio: 1; image-rendering: pixelated;
  border: 1px solid #8888; border-radius: 4px; box-sizing: border-box; }
.stylegan2-live .tools { display: flex; flex-wrap: wrap; gap: 0.6em 1.4em; margin-top: 0.9em;
  align-items: center; justify-content: center; font-size: 0.92em; }
.stylegan2-live fieldset { display: grid; gap: 0.7em 1.4em; margin: 0.9em 0 0; padding: 0; border: 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 13em), 1fr)); min-width: 0; }
.stylegan2-live fieldset.directions {
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 17em), 1fr)); }
.stylegan2-live legend { float: none; width: auto; margin: 0; padding: 0 0 0.5em;
  font-size: 0.92em; font-style: italic; }
.stylegan2-live fieldset label { display: block; font-size: 0.92em; min-width: 0; }
.stylegan2-live fieldset b { font-weight: 600; font-variant-numeric: tabular-nums; }
.stylegan2-live input[type="range"] { display: block; width: 100%; margin: 0.2em 0;
  min-height: 1.5em; accent-color: #D55E00; }
.stylegan2-live input[type="number"] { font: inherit; width: 6.5em; padding: 0.25em 0.4em;
  border: 1px solid #8888; border-radius: 6px; background: transparent; color: inherit; }
.stylegan2-live button { font: inherit; padding: 0.35em 0.7em; cursor: pointer;
  border: 1px solid #8888; border-radius: 6px; background: transparent; color: inherit; }
.stylegan2-live button:focus-visible, .stylegan2-live input:focus-visible {
  outline: 3px solid #56B4E9; outline-offset: 2px; }
.stylegan2-live .seed, .stylegan2-live .seed label { display: flex; gap: 0.5em;
  align-items: center; margin: 0; }
.stylegan2-live .time { margin: 0.9em 0 0; font-size: 0.9em; }
/* Where the sliders stand in one column, the pictures stay in sight, below the site's header. */
@media (max-width: 768px) {
  .stylegan2-live .pictures { position: sticky; top: 3.5rem; z-index: 2; padding: 0.5em 0;
    background: var(--pst-color-background, Canvas); }
  .stylegan2-live figure { flex-basis: 5em; }
  .stylegan2-live figure.result { flex-basis: 11em; }
}`;

  const percent = (v) => `${Math.round(100 * v)} %`;
  const signed = (v) => (v ? `${v < 0 ? "−" : "+"}${Math.abs(v).toFixed(1)}` : "0");

  /* Multiply-adds of all convolutions of one picture. */
  function work(net) {
    return net.layers.reduce((sum, { from, to, size, up }) =>
      sum + from * to * 9 * (up ? size / 2 : size) ** 2, 0);
  }

  function build(root, live, net) {
    const count = net.layers.length + 1, names = { a: "A", b: "B" };
    const state = { seeds: { a: net.seeds[0], b: net.seeds[1] }, t: 0.5, psi: 1, layer: count,
      edits: net.directions.map(() => 0) };
    const start = { t: state.t, psi: state.psi, layer: state.layer };
    const ws = {}, canvases = {}, times = [];
    document.head.append(kit.element("style", { textContent: STYLE }));

    const figure = (key, caption, kind) => {
      const canvas = canvases[key] = kit.element("canvas", { width: net.size, height: net.size });
      canvas.setAttribute("role", "img");
      canvas.dataset.picture = key;
      return kit.element("figure", { className: kind }, [
        canvas, kit.element("figcaption", { textContent: caption })]);
    };
    /* Draw a picture with these settings; `stages` as in synthesize. Returns milliseconds. */
    function draw(key, how, stages) {
      const before = performance.now();
      const values = live.synthesize(net, live.styles(net, ws.a, ws.b, how), stages);
      const taken = performance.now() - before;
      const pixels = kit.picture(values, net.channels), side = pixels.width;
      const canvas = canvases[key];
      if (canvas.width !== side) canvas.width = canvas.height = side;
      canvas.getContext("2d").putImageData(pixels, 0, 0);
      return taken;
    }
    function ends() {
      const seed = (key) => state.seeds[key];
      draw("a", { t: 0 });
      draw("b", { t: 1 });
      Object.keys(names).forEach((key) => canvases[key].setAttribute("aria-label",
        `Generated picture ${names[key]}, from seed ${seed(key)}`));
    }

    const line = kit.element("p", { className: "time" });
    function describe() {
      const { t, psi, layer, edits, seeds } = state;
      const moved = edits.map((v, k) => (v ? `, direction ${k + 1} ${signed(v)}` : "")).join("");
      canvases.result.setAttribute("aria-label", `Generated picture ${percent(t)} of the way from`
        + ` A (seed ${seeds.a}) to B (seed ${seeds.b}), truncation ${psi.toFixed(2)}, `
        + (layer < count ? `styles of B from layer ${layer} on` : "no styles mixed") + moved);
    }
    function median() {
      return [...times].sort((p, q) => p - q)[Math.floor(times.length / 2)];
    }
    function result(small) {
      const stages = small ? Math.max(1, net.widths.length - 2) : net.widths.length;
      const taken = draw("result", state, stages), millions = Math.round(work(net) / 1e6);
      describe();
      if (small) return;
      times.push(taken);
      if (times.length > 9) times.shift();
      line.textContent = `Drawn in ${taken.toFixed(0)} ms in your browser (${net.size} × ${net.size}`
        + ` pixels, ${millions} million multiplications`
        + (times.length > 2 ? `; median of the last ${times.length}: ${median().toFixed(0)} ms).` : ").");
      root.dataset.milliseconds = median().toFixed(1);
      root.dataset.drawn = String(Number(root.dataset.drawn || 0) + 1);
    }

    /* At most one picture a frame. Where a whole one takes long, a small one first. */
    let asked = false, timer = 0, renewed = false;
    function request() {
      clearTimeout(timer);
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => {
        asked = false;
        if (renewed) ends();
        renewed = false;
        const small = times.length > 2 && median() > QUICK;
        result(small);
        if (small) timer = setTimeout(() => result(false), REST);
      });
    }
    function seeded(key, seed) {
      state.seeds[key] = seed;
      ws[key] = live.map(net, live.normals(seed, net.latent));
    }

    const shows = [];
    function slider(label, [min, max, step], read, write, show) {
      const value = kit.element("b"), input = kit.element("input", { type: "range", min, max, step });
      const tell = () => {
        input.value = read();
        value.textContent = show(read());
        input.setAttribute("aria-valuetext", show(read()));
      };
      input.addEventListener("input", () => { write(Number(input.value)); tell(); request(); });
      shows.push(tell);
      tell();
      return kit.element("label", {}, [`${label}: `, value, input]);
    }
    const field = (label, range, key, show) => slider(label, range, () => state[key],
      (v) => { state[key] = v; }, show);
    const directions = net.directions.map((_, k) => slider(
      `Direction ${k + 1} (${percent(net.shares[k])} of the variance)`, [-3, 3, 0.1],
      () => state.edits[k], (v) => { state.edits[k] = v; }, signed));

    function picker(key) {
      const input = kit.element("input", { type: "number", min: 0, max: LARGEST, step: 1 });
      input.value = state.seeds[key];
      const take = (seed) => { seeded(key, seed); renewed = true; request(); };
      input.addEventListener("input", () => {
        const seed = Math.floor(Number(input.value));
        if (input.value !== "" && seed >= 0 && seed <= LARGEST) take(seed);
      });
      const button = kit.element("button", { type: "button", textContent: `New ${names[key]}` });
      button.addEventListener("click", () => {
        input.value = Math.floor(Math.random() * 1000000);
        take(Number(input.value));
      });
      return kit.element("div", { className: "seed" }, [
        kit.element("label", {}, [`Seed of ${names[key]}`, input]), button]);
    }
    const undo = kit.element("button", { type: "button", textContent: "Sliders back" });
    undo.addEventListener("click", () => {
      Object.assign(state, start);
      state.edits.fill(0);
      shows.forEach((show) => show());
      request();
    });

    const layers = (v) => (v < count ? `${v} of ${count}` : "none");
    root.style.minHeight = "";
    root.replaceChildren(
      kit.element("div", { className: "pictures" }, [
        figure("a", "A", ""), figure("result", "result", "result"), figure("b", "B", "")]),
      kit.element("div", { className: "tools" }, [picker("a"), picker("b"), undo]),
      kit.element("fieldset", {}, [
        kit.element("legend", { textContent: "The result, from the styles of A and B" }),
        field("From A to B, in W", [0, 1, 0.01], "t", percent),
        field("Truncation ψ", [0, 1, 0.01], "psi", (v) => v.toFixed(2)),
        field("Styles of B from layer", [0, count, 1], "layer", layers),
      ]),
      kit.element("fieldset", { className: "directions" }, [
        kit.element("legend", { textContent:
          "Steps along the principal directions of W, in standard deviations" }),
        ...directions,
      ]), line);
    seeded("a", state.seeds.a);
    seeded("b", state.seeds.b);
    ends();
    result(false);
    root.dataset.ready = "true";
  }

  const here = document.currentScript.src;
  function load(root) {
    root.textContent = "Loading the generator…";
    const needed = ["stylegan2-net.js", "stylegan2-weights.js"];
    kit.scripts(here, /stylegan2\.js/, needed).then(() => {
      const live = globalThis.ganlabStylegan2Net;
      build(root, live, live.decode(globalThis.ganlabStylegan2));
      globalThis.ganlabStylegan2.weights = ""; // two megabytes that nobody reads again
    }, () => {
      root.textContent = "The generator's weights could not be loaded.";
    });
  }

  kit.whenNear("stylegan2-live", "30em", load);
})();
