/* Live figure of chapter 10: a conditional StyleGAN2 writes a number that the reader types, in
  several handwritings. One latent vector is one handwriting; the class is the digit. Drawn into
  <div id="digits-live">. The arithmetic is in stylegan2-net.js and the weights in
  digits-weights.js beside this file; both are loaded when the figure comes near the screen. */
(function () {
  "use strict";
  const kit = globalThis.ganlabKit;

  const LONGEST = 10, LARGEST = 4294967295;
  const STYLE = `
.digits-live { margin: 1.2em 0 1.6em; padding: 0.8em; border: 1px solid #8884;
  border-radius: 8px; font-size: 0.95em; }
.digits-live .tools { display: flex; flex-wrap: wrap; gap: 0.7em 1.4em; align-items: center;
  font-size: 0.92em; }
.digits-live .tools label { display: flex; gap: 0.5em; align-items: center; margin: 0; }
.digits-live input[type="text"] { font: inherit; font-size: 1.2em; width: 9em;
  padding: 0.25em 0.5em; letter-spacing: 0.12em; border: 1px solid #8888; border-radius: 6px;
  background: transparent; color: inherit; }
.digits-live input[type="range"] { width: 9em; min-height: 1.5em; accent-color: #D55E00; }
.digits-live button { font: inherit; padding: 0.35em 0.7em; cursor: pointer;
  border: 1px solid #8888; border-radius: 6px; background: transparent; color: inherit; }
.digits-live button:focus-visible, .digits-live input:focus-visible {
  outline: 3px solid #56B4E9; outline-offset: 2px; }
.digits-live b { font-variant-numeric: tabular-nums; min-width: 2.4em; }
.digits-live canvas { display: block; max-width: 100%; height: auto; margin: 0.9em 0 0;
  border: 1px solid #8888; border-radius: 4px; box-sizing: border-box; background: #000; }
.digits-live .time { margin: 0.7em 0 0; font-size: 0.9em; }`;

  function build(root, live, net) {
    const state = { text: "2014", psi: 1, seeds: [...net.seeds] }, n = net.size;
    const canvas = kit.element("canvas"), pen = canvas.getContext("2d");
    const line = kit.element("p", { className: "time" });
    canvas.setAttribute("role", "img");
    document.head.append(kit.element("style", { textContent: STYLE }));

    /* A digit in one handwriting: drawn once, then kept until the settings change. */
    let kept = new Map(), drawn = 0, spent = 0;
    function picture(seed, kind) {
      const key = `${seed},${kind}`;
      if (!kept.has(key)) {
        const before = performance.now();
        const w = live.map(net, live.normals(seed, net.latent), kind);
        const values = live.synthesize(net, live.styles(net, w, w,
          { psi: state.psi, mean: net.kinds[kind].mean }));
        spent += performance.now() - before;
        drawn += 1;
        kept.set(key, kit.picture(values, net.channels));
      }
      return kept.get(key);
    }
    let turn = 0;
    /* One handwriting a frame, so that the page stays awake; a newer wish ends an older one. */
    function write() {
      const mine = ++turn, digits = [...state.text].map(Number);
      drawn = spent = 0;
      if (!digits.length) { // an empty field shows no digits, not those of before
        canvas.width = canvas.width; // clears it
        canvas.setAttribute("aria-label", "No digits yet: type a number");
        line.textContent = "Type one digit or more.";
        root.dataset.drawn = String(Number(root.dataset.drawn || 0) + 1);
        return;
      }
      const wide = digits.length * n;
      if (canvas.width !== wide || canvas.height !== state.seeds.length * n) {
        canvas.width = wide;
        canvas.height = state.seeds.length * n;
      }
      canvas.style.width = `${Math.min(64, 640 / digits.length) * digits.length}px`;
      canvas.setAttribute("aria-label",
        `The number ${state.text} in ${state.seeds.length} generated handwritings`);
      const row = (k) => {
        if (mine !== turn) return;
        digits.forEach((kind, i) => pen.putImageData(picture(state.seeds[k], kind), i * n, k * n));
        if (k + 1 < state.seeds.length) { requestAnimationFrame(() => row(k + 1)); return; }
        if (!drawn) line.textContent = "Each line is one latent vector.";
        else {
          line.textContent = `${drawn} new pictures drawn in your browser, ${(spent / drawn).toFixed(0)}`
            + ` ms each (${n} × ${n} pixels). Each line is one latent vector.`;
          root.dataset.milliseconds = (spent / drawn).toFixed(1);
        }
        root.dataset.drawn = String(Number(root.dataset.drawn || 0) + 1);
      };
      requestAnimationFrame(() => row(0));
    }

    const input = kit.element("input", { type: "text", inputMode: "numeric", maxLength: LONGEST,
      value: state.text, autocomplete: "off" });
    input.addEventListener("input", () => {
      state.text = input.value = input.value.replace(/[^0-9]/g, "").slice(0, LONGEST);
      write();
    });
    const value = kit.element("b", { textContent: "1.00" });
    const psi = kit.element("input", { type: "range", min: 0, max: 1, step: 0.05, value: 1 });
    psi.addEventListener("input", () => {
      state.psi = Number(psi.value);
      value.textContent = state.psi.toFixed(2);
      psi.setAttribute("aria-valuetext", value.textContent);
      kept = new Map();
      write();
    });
    const others = kit.element("button", { type: "button", textContent: "Other handwritings" });
    others.addEventListener("click", () => {
      state.seeds = state.seeds.map(() => Math.floor(Math.random() * LARGEST));
      kept = new Map();
      write();
    });
    root.style.minHeight = "";
    root.replaceChildren(
      kit.element("div", { className: "tools" }, [
        kit.element("label", {}, ["Number to write", input]), others,
        kit.element("label", {}, ["Truncation ψ", psi, value])]),
      canvas, line);
    write();
    root.dataset.ready = "true";
  }

  const here = document.currentScript.src;
  function load(root) {
    root.textContent = "Loading the generator…";
    kit.scripts(here, /digits\.js/, ["stylegan2-net.js", "digits-weights.js"]).then(() => {
      const live = globalThis.ganlabStylegan2Net;
      build(root, live, live.decode(globalThis.ganlabDigits));
      globalThis.ganlabDigits.weights = ""; // nobody reads them again
    }, () => {
      root.textContent = "The generator's weights could not be loaded.";
    });
  }

  kit.whenNear("digits-live", "22em", load);
})();
