// Tries the live figure of chapter 10, which writes numbers: by keyboard, and against the digits
// that torch drew. Imported by site.mjs.
const ROOT = "#digits-live";
const ALLOWED = 4; // of 255: what weights in 16 bits and rounding may make

/** Largest difference between a tile of the canvas and one of the stand-in picture. */
async function distance(page, row, column, kind) {
  return page.evaluate(async ([selector, r, c, k]) => {
    const canvas = document.querySelector(`${selector} canvas`), n = canvas.height / 4;
    const script = document.querySelector("script[src*='digits.js']").src;
    const image = new Image();
    image.src = script.replace(/digits\.js.*/, "digits.png");
    await image.decode();
    const sheet = document.createElement("canvas");
    sheet.width = image.width;
    sheet.height = image.height;
    const pen = sheet.getContext("2d");
    pen.drawImage(image, 0, 0);
    const wanted = pen.getImageData(2 + k * (n + 2), 2 + r * (n + 2), n, n).data;
    const drawn = canvas.getContext("2d").getImageData(c * n, r * n, n, n).data;
    return drawn.reduce((most, v, i) => Math.max(most, Math.abs(v - wanted[i])), 0);
  }, [ROOT, row, column, kind]);
}

export async function digits(page) {
  const root = page.locator(ROOT), faults = [], distances = {};
  await root.scrollIntoViewIfNeeded();
  await page.waitForSelector(`${ROOT}[data-drawn]`, { timeout: 60000 });
  const count = () => root.evaluate((e) => Number(e.dataset.drawn));
  const pixels = () => root.evaluate((e) => e.querySelector("canvas").toDataURL());
  const after = async (act, what) => {
    const before = await count(), picture = await pixels();
    await act();
    await page.waitForFunction(([selector, n]) =>
      Number(document.querySelector(selector).dataset.drawn) > n, [ROOT, before],
    { timeout: 20000 }).catch(() => faults.push(`${what}: nothing drawn`));
    if ((await pixels()) === picture) faults.push(`${what}: the picture stays`);
  };
  const compare = async (text) => {
    for (const row of [0, 3]) {
      for (const [column, kind] of [...text].map(Number).entries()) {
        const far = distances[`${text}, line ${row}, place ${column}`]
          = await distance(page, row, column, kind);
        if (!(far <= ALLOWED)) faults.push(`${text}: ${far} of 255 from torch`);
      }
    }
  };
  const input = root.locator("input[type=text]");
  await compare(await input.inputValue());
  await after(async () => {
    await input.focus();
    await page.keyboard.press("Control+A");
    await page.keyboard.type("7x");
  }, "another number");
  if ((await input.inputValue()) !== "7") faults.push("letters are let in");
  await compare("7");
  const label = await root.locator("canvas").getAttribute("aria-label");
  if (!label.includes("7")) faults.push(`label: ${label}`);
  await after(async () => {
    await input.focus();
    await page.keyboard.press("Control+A");
    await page.keyboard.press("Delete");
  }, "an empty field");
  const inked = await page.evaluate((selector) => {
    const canvas = document.querySelector(`${selector} canvas`);
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.some((v) => v > 0);
  }, ROOT);
  if (inked) faults.push("an empty field keeps the old digits");
  const empty = await root.locator("canvas").getAttribute("aria-label");
  if (!empty.includes("No digits")) faults.push(`label of an empty field: ${empty}`);
  await after(async () => {
    await page.keyboard.type("7");
  }, "a number after an empty field");
  await compare("7");
  await after(async () => {
    await root.locator("input[type=range]").focus();
    await page.keyboard.press("Home");
  }, "truncation");
  const same = await page.evaluate((selector) => {
    const canvas = document.querySelector(`${selector} canvas`), n = canvas.height / 4;
    const pen = canvas.getContext("2d");
    const tile = (k) => pen.getImageData(0, k * n, n, n).data.join();
    return tile(0) === tile(3);
  }, ROOT);
  if (!same) faults.push("with truncation 0 the lines differ");
  await after(async () => {
    await page.keyboard.press("End");
  }, "truncation back");
  await after(async () => {
    await page.getByRole("button", { name: "Other handwritings" }).focus();
    await page.keyboard.press("Enter");
  }, "other handwritings");
  const line = await root.locator(".time").textContent();
  if (!/\d ms/.test(line)) faults.push(`no time: ${line}`);
  return { faults, distances, milliseconds: Number(await root.evaluate((e) => e.dataset.milliseconds)) };
}
