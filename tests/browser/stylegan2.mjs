// Tries the live StyleGAN2 of chapter 11: by keyboard, and against the pictures that torch drew.
// Imported by site.mjs; alone:  node stylegan2.mjs CHROMIUM PAGE_URL [SCREENSHOT_FOLDER]
import { fileURLToPath } from "node:url";

const ROOT = "#stylegan2-live";
const ALLOWED = 4; // of 255: what weights in 16 bits and rounding may make

/** The pixels of the three canvases; those of torch, from the stand-in picture; how far apart. */
async function install(page) {
  await page.evaluate(async (selector) => {
    const root = document.querySelector(selector);
    const pixels = (canvas) => [...canvas.getContext("2d")
      .getImageData(0, 0, canvas.width, canvas.height).data];
    const shown = (key) => pixels(root.querySelector(`canvas[data-picture=${key}]`));
    const script = document.querySelector("script[src*='stylegan2.js']").src;
    const image = new Image();
    image.src = script.replace(/stylegan2\.js.*/, "stylegan2.png");
    await image.decode();
    const n = root.querySelector("canvas").width, sheet = document.createElement("canvas");
    sheet.width = image.width;
    sheet.height = image.height;
    const pen = sheet.getContext("2d");
    pen.drawImage(image, 0, 0);
    const drawn = (row, column) =>
      [...pen.getImageData(2 + column * (n + 2), 2 + row * (n + 2), n, n).data];
    globalThis.liveTest = {
      shown,
      distance: (key, row, column) => {
        const expected = drawn(row, column);
        return shown(key).reduce((most, v, i) => Math.max(most, Math.abs(v - expected[i])), 0);
      },
    };
  }, ROOT);
}

/** The sliders at which the result is not whole on the screen, or covers the slider itself. */
export async function hiddenWhileMoving(page) {
  const sliders = page.locator(`${ROOT} input[type=range]`), hidden = [];
  for (let i = 0; i < await sliders.count(); i++) {
    const slider = sliders.nth(i);
    await slider.evaluate((e) => e.scrollIntoView({ block: "center" }));
    const fine = await slider.evaluate((input, selector) => {
      const result = document.querySelector(`${selector} figure.result`).getBoundingClientRect();
      const own = input.getBoundingClientRect();
      return result.top >= 0 && result.bottom <= innerHeight && result.bottom <= own.top;
    }, ROOT);
    if (!fine) hidden.push(i);
  }
  return hidden;
}

export async function stylegan2(page) {
  const root = page.locator(ROOT), faults = [], distances = {}, changes = {};
  await root.scrollIntoViewIfNeeded();
  await page.waitForSelector(`${ROOT}[data-ready]`, { timeout: 60000 });
  await install(page);
  const settled = async (before) => {
    await page.waitForFunction(([selector, count]) =>
      Number(document.querySelector(selector).dataset.drawn) > count, [ROOT, before],
    { timeout: 20000 }).catch(() => faults.push("a change drew nothing"));
  };
  const count = () => root.evaluate((e) => Number(e.dataset.drawn));
  const picture = (key) => page.evaluate((k) => liveTest.shown(k).join(), key);
  const press = async (...keys) => {
    for (const key of keys) {
      const before = await count();
      await page.keyboard.press(key);
      await settled(before);
    }
  };
  const compare = async (name, key, row, column) => {
    distances[name] = await page.evaluate((a) => liveTest.distance(...a), [key, row, column]);
    if (!(distances[name] <= ALLOWED)) faults.push(`${name}: ${distances[name]} of 255 from torch`);
  };
  await compare("A", "a", 0, 0);
  await compare("B", "b", 0, 4);
  await compare("half-way", "result", 0, 2);

  const sliders = root.locator("input[type=range]"), total = await sliders.count();
  for (let i = 0; i < total; i++) {
    const slider = sliders.nth(i);
    await slider.focus();
    const label = (await slider.evaluate((e) => e.closest("label").textContent)).split(":")[0];
    const before = await picture("result"), home = await slider.inputValue();
    await press("Home");
    changes[label] = (await picture("result")) !== before;
    if (!changes[label]) faults.push(`'${label}' changes nothing`);
    if (i === 0) await compare("at A", "result", 0, 0);
    if (i === 1) await compare("the mean", "result", 1, 0);
    if (i === 2) {
      await compare("all styles of B", "result", 2, 0);
      await sliders.nth(0).focus();
      await press("Home");
      await slider.focus();
      await press(...Array(5).fill("ArrowRight"));
      await compare("the finer half of B", "result", 2, 2);
    }
    await page.getByRole("button", { name: "Sliders back" }).focus();
    await press("Enter");
    if ((await slider.inputValue()) !== home || (await picture("result")) !== before) {
      faults.push(`'${label}': 'Sliders back' does not bring it back`);
    }
  }

  const canvas = root.locator("canvas[data-picture=result]");
  const label = await canvas.getAttribute("aria-label"), first = await picture("a");
  await page.getByRole("button", { name: "New A" }).focus();
  await press("Enter");
  if ((await picture("a")) === first) faults.push("'New A' changes nothing");
  if ((await canvas.getAttribute("aria-label")) === label) faults.push("the label stays");
  const before = await count();
  const other = await root.locator("input[type=number]").nth(1).inputValue();
  await root.locator("input[type=number]").first().fill(other);
  await settled(before);
  if ((await picture("a")) !== (await picture("b"))) faults.push("the same seed, two pictures");
  const line = await root.locator(".time").textContent();
  if (!/\d ms/.test(line)) faults.push(`no time: ${line}`);
  const milliseconds = Number(await root.evaluate((e) => e.dataset.milliseconds));
  return { faults, distances, changes, milliseconds, line, label };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { chromium } = await import("playwright-core");
  const [executablePath, url, shots] = process.argv.slice(2);
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const found = {};
  for (const [name, width] of [["desktop", 1280], ["phone", 390]]) {
    const page = await browser.newPage({ viewport: { width, height: 900 } }), wrong = [];
    page.on("console", (m) => { if (m.type() === "error") wrong.push(m.text()); });
    page.on("pageerror", (e) => wrong.push(e.message));
    page.on("request", (r) => {
      if (new URL(r.url()).origin !== new URL(url).origin && !r.url().startsWith("data:")) {
        wrong.push(`other host: ${r.url()}`);
      }
    });
    await page.goto(url);
    await page.locator(ROOT).scrollIntoViewIfNeeded();
    await page.waitForSelector(`${ROOT}[data-ready]`, { timeout: 60000 });
    if (shots) await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
    if (name === "desktop") found.live = await stylegan2(page);
    else found.hidden = await hiddenWhileMoving(page);
    found[name] = { wrong, tooWide: await page.evaluate(() =>
      document.scrollingElement.scrollWidth > innerWidth) };
    await page.close();
  }
  await browser.close();
  console.log(JSON.stringify(found));
}
