/* The arithmetic of a StyleGAN2 generator in plain JavaScript: mapping, modulated convolutions,
  filtered doubling, skip pictures. Used by stylegan2.js and digits.js; the weights are in files
  of their own.
  In Node, `require` gives the functions.

  A modulated convolution scales its input maps by the style and its output maps by the
  demodulation, which is the same as scaling the weights (chapter 10), and much less work. Maps
  are kept with a border of zeros, one pixel wide, so that no loop has to look where it is. */
(function () {
  "use strict";
  const kit = globalThis.ganlabKit || require("./kit.js");

  const SLOPE = 0.2; // of the leaky ReLU

  /* From base64 to named arrays of weights, and what is computed from them once. */
  function decode(packed) {
    const text = atob(packed.weights), bytes = new Uint8Array(text.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
    const view = new DataView(bytes.buffer), tensors = {};
    let at = 0;
    packed.tensors.forEach(([name, length, scale]) => {
      const values = tensors[name] = new Float32Array(length);
      for (let j = 0; j < length; j++, at += 2) values[j] = view.getInt16(at, true) * scale;
    });
    const { widths, channels, latent, style, classes } = packed;
    const linear = (name) => ({ weight: tensors[`${name}.weight`], bias: tensors[`${name}.bias`] });
    const layers = [], pictures = [];
    widths.forEach((to, stage) => {
      for (let part = stage ? 0 : 1; part < 2; part++) {
        const name = `layers.${layers.length}`, from = part ? to : widths[stage - 1];
        const weight = tensors[`${name}.weight`], squares = new Float64Array(to * from);
        weight.forEach((w, j) => { squares[Math.floor(j / 9)] += w * w; });
        layers.push({ from, to, weight, squares, size: 4 << stage, up: part === 0,
          affine: linear(`${name}.affine`), bias: tensors[`${name}.bias`],
          noise: tensors[`${name}.noise`] });
      }
      pictures.push({ affine: linear(`pictures.${stage}.affine`),
        ...linear(`pictures.${stage}`) });
    });
    const mapping = Array.from({ length: packed.mapping }, (_, i) => linear(`mapping.${i}`));
    const net = { channels, latent, style, classes, widths, mapping, layers, pictures,
      size: packed.size, start: tensors.start, mean: tensors.mean, seeds: packed.seeds,
      shares: packed.shares };
    // Of each class the vector that joins z, and its own mean of w.
    net.kinds = Array.from({ length: classes }, (_, i) => ({
      vector: tensors.classes.subarray(i * latent, (i + 1) * latent),
      mean: tensors.means.subarray(i * style, (i + 1) * style) }));
    net.directions = Array.from({ length: packed.shares.length }, (_, i) =>
      tensors.directions.subarray(i * style, (i + 1) * style));
    // One buffer for each layer's maps, with their border, reused from picture to picture.
    net.maps = [[widths[0], 4], ...layers.map((l) => [l.to, l.size])].map(([count, n]) =>
      new Float64Array(count * (n + 2) * (n + 2)));
    net.scratch = new Float64Array((packed.size + 3) * (packed.size + 3));
    return net;
  }

  /* weight x + bias. */
  function product({ weight, bias }, x) {
    const wide = x.length, out = new Float64Array(bias.length);
    for (let o = 0; o < out.length; o++) {
      let sum = bias[o];
      for (let i = 0, k = o * wide; i < wide; i++, k++) sum += weight[k] * x[i];
      out[o] = sum;
    }
    return out;
  }

  /* A vector over the root mean square of its entries. */
  function normalized(z) {
    let square = 0;
    for (let i = 0; i < z.length; i++) square += z[i] * z[i];
    const scale = 1 / Math.sqrt(square / z.length + 1e-8);
    return Float64Array.from(z, (v) => v * scale);
  }

  /* Latent vector, and class number of a conditional network, to w. */
  function map(net, z, kind) {
    let x = normalized(z);
    if (net.classes) x = Float64Array.of(...x, ...normalized(net.kinds[kind].vector));
    net.mapping.forEach((layer) => {
      x = product(layer, x);
      for (let i = 0; i < x.length; i++) if (x[i] < 0) x[i] *= SLOPE;
    });
    return x;
  }

  /* Multiply each map by its style, in place; the border stays 0. */
  function scaleMaps(maps, styles, n) {
    const whole = (n + 2) * (n + 2);
    for (let i = 0, at = 0; i < styles.length; i++) {
      const s = styles[i];
      for (const end = at + whole; at < end; at++) maps[at] *= s;
    }
  }

  /* A 3x3 convolution, two output maps at a time: the 18 weights and 9 pixels stay in registers. */
  function convolve(source, n, { from, to, weight }, target) {
    const row = n + 2, whole = row * row;
    target.fill(0);
    for (let o = 0; o < to; o += 2) {
      for (let i = 0; i < from; i++) {
        const k = (o * from + i) * 9, m = k + from * 9;
        const a0 = weight[k], a1 = weight[k + 1], a2 = weight[k + 2];
        const a3 = weight[k + 3], a4 = weight[k + 4], a5 = weight[k + 5];
        const a6 = weight[k + 6], a7 = weight[k + 7], a8 = weight[k + 8];
        const b0 = weight[m], b1 = weight[m + 1], b2 = weight[m + 2];
        const b3 = weight[m + 3], b4 = weight[m + 4], b5 = weight[m + 5];
        const b6 = weight[m + 6], b7 = weight[m + 7], b8 = weight[m + 8];
        for (let y = 0; y < n; y++) {
          let top = i * whole + y * row, middle = top + row, bottom = middle + row;
          let p = source[top++], q = source[top++], r = source[middle++], s = source[middle++];
          let t = source[bottom++], u = source[bottom++], d = o * whole + (y + 1) * row + 1;
          for (const end = d + n; d < end; d++) {
            const f = source[top++], g = source[middle++], h = source[bottom++];
            target[d] += p * a0 + q * a1 + f * a2 + r * a3 + s * a4 + g * a5
              + t * a6 + u * a7 + h * a8;
            target[d + whole] += p * b0 + q * b1 + f * b2 + r * b3 + s * b4 + g * b5
              + t * b6 + u * b7 + h * b8;
            p = q; q = f; r = s; s = g; t = u; u = h;
          }
        }
      }
    }
  }

  /* A transposed 3x3 convolution of stride 2, then the filter [1, 3, 3, 1] along both axes:
    n to 2n pixels, map by map. Each input pixel reaches 9 places of 2n + 1 along each axis. */
  function convolveUp(source, n, { from, to, weight }, target, scratch) {
    const row = n + 2, whole = row * row, wide = 2 * n + 3, out = 2 * n;
    for (let o = 0; o < to; o++) {
      const made = scratch.subarray(0, wide * wide).fill(0);
      for (let i = 0; i < from; i++) {
        const k = (o * from + i) * 9;
        const w0 = weight[k], w1 = weight[k + 1], w2 = weight[k + 2], w3 = weight[k + 3];
        const w4 = weight[k + 4], w5 = weight[k + 5], w6 = weight[k + 6], w7 = weight[k + 7];
        const w8 = weight[k + 8];
        for (let y = 0; y <= n; y++) {
          let top = i * whole + y * row, bottom = top + row, d = (2 * y + 1) * wide + 1;
          let p = source[top++], q = source[bottom++];
          for (const end = d + 2 * n + 2; d < end; d += 2) {
            const r = source[top++], s = source[bottom++];
            made[d] += s * w0 + q * w2 + r * w6 + p * w8;
            made[d + 1] += s * w1 + r * w7;
            made[d + wide] += s * w3 + q * w5;
            made[d + wide + 1] += s * w4;
            p = r; q = s;
          }
        }
      }
      // Along the rows in place (each value is read before it is replaced), then along columns.
      for (let y = 1; y < wide - 1; y++) {
        for (let x = 0, d = y * wide; x < out; x++, d++) {
          made[d] = (made[d] + 3 * (made[d + 1] + made[d + 2]) + made[d + 3]) / 4;
        }
      }
      for (let y = 0; y < out; y++) {
        let d = (o * (out + 2) + y + 1) * (out + 2) + 1, s = y * wide;
        for (const end = d + out; d < end; d++, s++) {
          target[d] = (made[s] + 3 * (made[s + wide] + made[s + 2 * wide])
            + made[s + 3 * wide]) / 4;
        }
      }
    }
  }

  /* Styled convolution: modulation, convolution, demodulation, noise, bias, leaky ReLU. */
  function styled(net, layer, source, target, w) {
    const { from, to, size, squares, bias, noise, up } = layer;
    const styles = product(layer.affine, w), n = up ? size / 2 : size;
    scaleMaps(source, styles, n);
    if (up) convolveUp(source, n, layer, target, net.scratch);
    else convolve(source, n, layer, target);
    for (let o = 0; o < to; o++) {
      let sum = 1e-8;
      for (let i = 0; i < from; i++) sum += styles[i] * styles[i] * squares[o * from + i];
      const gain = Math.SQRT2 / Math.sqrt(sum), b = bias[o];
      for (let y = 0, k = 0; y < size; y++) {
        let d = (o * (size + 2) + y + 1) * (size + 2) + 1;
        for (const end = d + size; d < end; d++, k++) {
          const v = target[d] * gain + noise[k] + b;
          target[d] = v < 0 ? SLOPE * v : v;
        }
      }
    }
  }

  /* Add the pixels that one resolution contributes to the picture so far. */
  function addPixels({ affine, weight, bias }, maps, n, w, picture) {
    const styles = product(affine, w);
    for (let c = 0; c < bias.length; c++) {
      for (let k = c * n * n; k < (c + 1) * n * n; k++) picture[k] += bias[c];
      for (let i = 0; i < styles.length; i++) {
        const v = weight[c * styles.length + i] * styles[i];
        for (let y = 0, k = c * n * n; y < n; y++) {
          let s = (i * (n + 2) + y + 1) * (n + 2) + 1;
          for (const end = s + n; s < end; s++, k++) picture[k] += v * maps[s];
        }
      }
    }
  }

  /* A picture of n pixels to one of 2n, by the filter [1, 3, 3, 1] between zeros. */
  function doubled(picture, n, channels) {
    const wide = 2 * n, rows = new Float64Array(channels * n * wide);
    for (let y = 0; y < channels * n; y++) {
      for (let x = 0; x < n; x++) {
        const at = y * n + x, v = 3 * picture[at];
        rows[2 * at] = (v + (x ? picture[at - 1] : 0)) / 4;
        rows[2 * at + 1] = (v + (x < n - 1 ? picture[at + 1] : 0)) / 4;
      }
    }
    const out = new Float64Array(channels * wide * wide);
    for (let y = 0; y < channels * n; y++) {
      for (let x = 0; x < wide; x++) {
        const at = y * wide + x, v = 3 * rows[at];
        out[2 * y * wide + x] = (v + (y % n ? rows[at - wide] : 0)) / 4;
        out[(2 * y + 1) * wide + x] = (v + (y % n < n - 1 ? rows[at + wide] : 0)) / 4;
      }
    }
    return out;
  }

  /* Styles, one w a layer, to a picture: channel by channel, row by row, around [-1, 1]. With
    `stages` fewer than there are, the smaller picture of that resolution. */
  function synthesize(net, ws, stages) {
    const count = stages || net.widths.length;
    const first = net.maps[0], last = 2 * count - 1;
    for (let i = 0; i < net.widths[0]; i++) {
      for (let y = 0; y < 4; y++) {
        for (let x = 0; x < 4; x++) first[i * 36 + (y + 1) * 6 + x + 1] = net.start[i * 16 + y * 4 + x];
      }
    }
    let picture = null;
    for (let i = 0; i < last; i++) {
      const layer = net.layers[i], n = layer.size;
      styled(net, layer, net.maps[i], net.maps[i + 1], ws[i]);
      if (i % 2) continue; // the first of two at this resolution
      picture = picture ? doubled(picture, n / 2, net.channels)
        : new Float64Array(net.channels * 16);
      addPixels(net.pictures[i / 2], net.maps[i + 1], n, ws[i + 1], picture);
    }
    return picture;
  }

  /* The styles of a picture between A and B. `t`: how far the way is from A to B; `layer`: from
    which layer on B's own w is taken; `psi`: truncation towards `mean`; `edits`: steps along the
    directions. */
  function styles(net, a, b, { t = 0, layer = Infinity, psi = 1, edits = [], mean = net.mean }) {
    const move = new Float64Array(net.style);
    edits.forEach((step, k) => {
      if (step) for (let i = 0; i < move.length; i++) move[i] += step * net.directions[k][i];
    });
    const finish = (w) => w.map((v, i) => mean[i] + psi * (v - mean[i]) + move[i]);
    const coarse = finish(a.map((v, i) => v + t * (b[i] - v))), fine = finish(b);
    return Array.from({ length: net.layers.length + 1 }, (_, l) => (l < layer ? coarse : fine));
  }

  const made = { decode, map, styles, synthesize, normals: kit.normals };
  if (typeof module !== "undefined" && module.exports) module.exports = made;
  else globalThis.ganlabStylegan2Net = made;
})();
