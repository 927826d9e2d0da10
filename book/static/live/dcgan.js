/* A trained DCGAN generator, live: four transposed convolutions with ReLU between them and tanh at
  the end; BatchNorm has been merged into the weights. Drawn into <div id="dcgan-live">. The weights
  are in dcgan-weights.js beside this file and are loaded when the figure comes near the screen.
  In Node, `require` gives the functions alone. */
(function () {
  "use strict";
  const kit = globalThis.ganlabKit || require("./kit.js");

  /* From base64 to one Float32Array of weights a layer. */
  function decode(packed) {
    const text = atob(packed.weights);
    const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    let at = 0;
    return packed.sizes.map(([from, to, kernel, stride, pad], i) => {
      const weights = new Float32Array(from * to * kernel * kernel);
      for (let j = 0; j < weights.length; j++, at += 2) {
        weights[j] = view.getInt16(at, true) * packed.scales[i];
      }
      return { from, to, kernel, stride, pad, weights, bias: packed.biases[i] };
    });
  }

  /* One transposed convolution: each input pixel stamps its kernel onto the output. */
  function stamp(layer, input, size) {
    const { from, to, kernel, stride, pad, weights, bias } = layer;
    const out = (size - 1) * stride - 2 * pad + kernel;
    const result = new Float32Array(to * out * out);
    for (let c = 0; c < to; c++) result.fill(bias[c], c * out * out, (c + 1) * out * out);
    for (let a = 0; a < from; a++) {
      for (let y = 0; y < size; y++) {
        for (let x = 0; x < size; x++) {
          const value = input[(a * size + y) * size + x];
          if (value === 0) continue; // half of them are, after a ReLU
          for (let b = 0; b < to; b++) {
            for (let v = 0; v < kernel; v++) {
              const row = y * stride - pad + v;
              if (row < 0 || row >= out) continue;
              const w = ((a * to + b) * kernel + v) * kernel;
              const r = (b * out + row) * out;
              for (let u = 0; u < kernel; u++) {
                const column = x * stride - pad + u;
                if (column >= 0 && column < out) result[r + column] += value * weights[w + u];
              }
            }
          }
        }
      }
    }
    return [result, out];
  }

  /* Latent vector to picture: values in [-1, 1], row by row. */
  function generate(net, z) {
    let values = Float32Array.from(z), size = 1;
    net.forEach((layer, i) => {
      [values, size] = stamp(layer, values, size);
      const last = i === net.length - 1;
      for (let j = 0; j < values.length; j++) {
        values[j] = last ? Math.tanh(values[j]) : Math.max(0, values[j]);
      }
    });
    return values;
  }

  const FRAMES = 9; // pictures of the strip from A to B
  const START = { a: 1, b: 79 }; // two clear digits, with clear digits between them

  const length = (z) => Math.sqrt(z.reduce((sum, v) => sum + v * v, 0));

  /* The point t of the way from a to b, on a straight line or along the sphere. */
  function between(a, b, t, way) {
    let p = 1 - t, q = t;
    if (way === "arc") {
      const cosine = a.reduce((sum, v, i) => sum + v * b[i], 0) / (length(a) * length(b));
      const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
      if (Math.sin(angle) > 1e-3) {
        p = Math.sin((1 - t) * angle) / Math.sin(angle);
        q = Math.sin(t * angle) / Math.sin(angle);
      }
    }
    return a.map((v, i) => p * v + q * b[i]);
  }

  if (typeof module !== "undefined" && module.exports) {
    module.exports = { decode, generate, normals: kit.normals, between, START, FRAMES };
    return;
  }

  const STYLE = `
.dcgan-live { margin: 1.2em 0 1.6em; padding: 0.8em; border: 1px solid #8884; border-radius: 8px; }
.dcgan-live .pictures { display: flex; justify-content: center; align-items: flex-end; gap: 4%; }
.dcgan-live figure { margin: 0; text-align: center; font-size: 0.9em; flex: 0 1 7em; }
.dcgan-live figure.middle { flex: 0 1 13em; }
.dcgan-live canvas { display: block; width: 100%; aspect-ratio: 1; image-rendering: pixelated;
  border: 1px solid #8888; border-radius: 4px; }
.dcgan-live .strip { display: flex; gap: 2px; margin-top: 0.8em; }
.dcgan-live .strip button { flex: 1 1 0; min-width: 0; padding: 0; border-width: 2px; border-radius: 4px;
  overflow: hidden; }
.dcgan-live .strip button[aria-pressed="true"] { border-color: #D55E00; }
.dcgan-live .strip canvas { border: 0; border-radius: 0; }
.dcgan-live .controls { display: flex; flex-wrap: wrap; gap: 0.4em 1.2em; margin-top: 0.5em; }
.dcgan-live label.wide { flex: 1 1 12em; min-width: 0; font-size: 0.9em; }
.dcgan-live input[type="range"] { display: block; width: 100%; margin: 0.2em 0;
  accent-color: #D55E00; }
.dcgan-live fieldset { flex: 1 1 12em; display: flex; flex-wrap: wrap; gap: 0.2em 1em; border: 0;
  margin: 0; padding: 0; font-size: 0.9em; align-items: center; }
.dcgan-live legend { float: left; padding: 0; margin: 0; width: auto; font-size: 1em; }
.dcgan-live button { flex: 1 1 9em; font: inherit; font-size: 0.88em; padding: 0.35em 0.7em; cursor: pointer;
  border: 1px solid #8888; border-radius: 6px; background: transparent; color: inherit; }
.dcgan-live button:focus-visible, .dcgan-live input:focus-visible {
  outline: 3px solid #56B4E9; outline-offset: 2px; }
.dcgan-live output { display: block; margin-top: 0.7em; font-size: 0.9em; line-height: 1.5; }`;

  function build(root, net) {
    const d = net[0].from, typical = Math.sqrt(d);
    const state = { a: kit.normals(START.a, d), b: kit.normals(START.b, d), t: 0.5, scale: 1, way: "arc" };
    document.head.append(kit.element("style", { textContent: STYLE }));

    const canvases = {};
    const figure = (key, caption, kind) => {
      const canvas = kit.element("canvas", { width: 32, height: 32 });
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `Generated digit: ${caption}`);
      canvases[key] = canvas;
      return kit.element("figure", { className: kind }, [
        canvas, kit.element("figcaption", { textContent: caption })]);
    };
    function draw(key, z) {
      const pixels = kit.picture(generate(net, z), 1), canvas = canvases[key];
      canvas.width = canvas.height = pixels.width;
      canvas.getContext("2d").putImageData(pixels, 0, 0);
    }

    const output = kit.element("output");
    output.setAttribute("aria-live", "polite");
    const point = (t) => between(state.a, state.b, t, state.way).map((v) => v * state.scale);
    const places = Array.from({ length: FRAMES }, (_, i) => i / (FRAMES - 1));
    const strip = places.map((t, i) => {
      const key = `strip ${i}`;
      canvases[key] = kit.element("canvas", { width: 32, height: 32 });
      const made = kit.element("button", { type: "button" }, [canvases[key]]);
      made.setAttribute("aria-label", `${Math.round(100 * t)} % of the way from A to B`);
      made.addEventListener("click", () => { state.t = t; sliders.t(); middle(); });
      return made;
    });
    function film() {
      places.forEach((t, i) => draw(`strip ${i}`, point(t)));
      middle();
    }
    function middle() {
      const z = point(state.t);
      draw("middle", z);
      strip.forEach((one, i) => one.setAttribute("aria-pressed",
        String(Math.abs(places[i] - state.t) < 0.5 / (FRAMES - 1))));
      output.textContent = `Length of z: ${length(z).toFixed(1)} (typical: ${typical.toFixed(1)}).`;
    }
    function renew(keys) {
      keys.forEach((key) => {
        state[key] = kit.normals(Math.floor(Math.random() * 4294967296), d);
        draw(key, state[key]);
      });
      film();
    }

    const sliders = {}; // each shows the state's value again
    function slider(name, label, max, show, changed) {
      const value = kit.element("span");
      const input = kit.element("input", { type: "range", min: 0, max, step: 0.01 });
      const tell = () => {
        input.value = state[name];
        value.textContent = show(state[name]);
        input.setAttribute("aria-valuetext", show(state[name]));
      };
      input.addEventListener("input", () => { state[name] = Number(input.value); tell(); changed(); });
      sliders[name] = tell;
      tell();
      return kit.element("label", { className: "wide" }, [`${label}: `, value, input]);
    }
    function button(text, keys) {
      const made = kit.element("button", { type: "button", textContent: text });
      made.addEventListener("click", () => renew(keys));
      return made;
    }
    function choice(value, text) {
      const input = kit.element("input", { type: "radio", name: "dcgan-way", value });
      input.checked = state.way === value;
      input.addEventListener("change", () => { state.way = value; film(); });
      return kit.element("label", {}, [input, ` ${text}`]);
    }

    root.replaceChildren(
      kit.element("div", { className: "pictures" }, [
        figure("a", "A", ""), figure("middle", "between", "middle"), figure("b", "B", "")]),
      kit.element("div", { className: "strip" }, strip),
      kit.element("div", { className: "controls" }, [
        slider("t", "From A to B", 1, (v) => `${Math.round(100 * v)} %`, middle),
        slider("scale", "Length of z, times", 3, (v) => v.toFixed(2), film),
      ]),
      kit.element("div", { className: "controls" }, [
        button("New digit A", ["a"]), button("New digit B", ["b"]),
        button("Two new digits", ["a", "b"]),
      ]),
      kit.element("div", { className: "controls" }, [
        kit.element("fieldset", {}, [kit.element("legend", { textContent: "Way:" }),
          choice("arc", "arc"), choice("line", "straight line")]),
      ]), output);
    draw("a", state.a);
    draw("b", state.b);
    film();
    root.dataset.ready = "yes"; // for tests
  }

  const here = document.currentScript.src;
  function load(root) {
    root.textContent = "Loading the generator…";
    kit.scripts(here, /dcgan\.js/, ["dcgan-weights.js"]).then(
      () => build(root, decode(globalThis.ganlabDcgan)),
      () => { root.textContent = "The generator's weights could not be loaded."; });
  }

  kit.whenNear("dcgan-live", "20em", load);
})();
