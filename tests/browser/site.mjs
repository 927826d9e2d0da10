// Opens pages of the built site in headless Chromium and prints what it found as JSON.
//   node site.mjs CHROMIUM BASE_URL PAGES(comma-separated) [SCREENSHOT_FOLDER]
import { chromium } from "playwright-core";
import { arrows } from "./arrows.mjs";
import { dcgan } from "./dcgan.mjs";
import { digits } from "./digits.mjs";
import { stylegan2 } from "./stylegan2.mjs";

const [executablePath, base, pageList, shots] = process.argv.slice(2);
const host = new URL(base).host;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });

/** A page that writes down everything that goes wrong on it. */
async function open(context, path) {
  const page = await context.newPage();
  const faults = [];
  page.on("console", (m) => {
    if (m.type() === "error") faults.push(`console: ${m.text()}`);
  });
  page.on("pageerror", (e) => faults.push(`script: ${e.message}`));
  page.on("requestfailed", (r) => faults.push(`failed: ${r.url()} ${r.failure()?.errorText}`));
  page.on("response", (r) => {
    if (r.status() >= 400) faults.push(`status ${r.status()}: ${r.url()}`);
  });
  page.on("request", (r) => {
    const url = new URL(r.url());
    if (url.protocol.startsWith("http") && url.host !== host) faults.push(`other host: ${url}`);
  });
  await page.goto(base + path, { waitUntil: "load" });
  await page.waitForFunction(
    () => !document.querySelector(".math") || document.querySelector("mjx-container"),
    { timeout: 20000 },
  ).catch(() => faults.push("formulas: MathJax drew nothing"));
  await page.evaluate(() => window.MathJax?.startup?.promise);
  await page.waitForLoadState("networkidle");
  return { page, faults };
}

const formulas = (page) =>
  page.evaluate(() => ({
    written: document.querySelectorAll(".math").length,
    drawn: document.querySelectorAll(".math mjx-container").length,
    wrong: [...document.querySelectorAll("mjx-merror, [data-mjx-error]")].map((e) => e.textContent),
  }));

const pictures = (page) =>
  page.evaluate(async () => {
    const images = [...document.querySelectorAll("img")];
    for (const image of images) image.loading = "eager";
    await Promise.all(images.map((i) => i.decode().catch(() => null)));
    return images.map((i) => ({
      src: i.getAttribute("src"),
      alt: i.getAttribute("alt"),
      drawn: i.naturalWidth > 0,
      inText: Boolean(i.closest(".bd-article")),
    }));
  });

/** Focuses every control that unfolds something, presses Enter, and says which did not react. */
async function dropdowns(page) {
  const stuck = [];
  const controls = page.locator(".bd-article summary, .bd-article .toggle-button");
  const count = await controls.count();
  const state = (element) => {
    const details = element.closest("details");
    if (details) return String(details.open);
    return element.closest(".toggle, .admonition").className;
  };
  for (let i = 0; i < count; i++) {
    const control = controls.nth(i);
    if (!(await control.isVisible())) continue; // inside one that is closed: its turn came first
    const before = await control.evaluate(state);
    await control.focus();
    const focused = await control.evaluate((e) => document.activeElement === e);
    await page.keyboard.press("Enter");
    await page.waitForTimeout(30);
    const after = await control.evaluate(state);
    if (!focused || before === after) {
      stuck.push(await control.evaluate((e) => e.outerHTML.slice(0, 120)));
    }
    // Leave it open, so that what it holds is tried too.
    if (before === "true") await page.keyboard.press("Enter");
  }
  return { count, stuck };
}

const buttons = (page) =>
  page.evaluate(() => {
    const links = [...document.querySelectorAll(".article-header-buttons a")].map((a) => a.href);
    return {
      colab: links.find((l) => l.startsWith("https://colab.research.google.com/")) ?? null,
      download: links.find((l) => l.endsWith(".ipynb") && new URL(l).origin === location.origin) ?? null,
      repository: links.find((l) => /^https:\/\/github\.com\/[^/]+\/[^/]+$/.test(l)) ?? null,
    };
  });

// What a reader cannot see whole: wider than the box that holds it, and the box does not scroll.
const cut = (page) =>
  page.evaluate(() => {
    const article = document.querySelector(".bd-article");
    if (!article) return [];
    const what = "mjx-container > svg, mjx-math, pre, table, img, canvas, figure, input, button";
    const lost = [...article.querySelectorAll(what)].filter((e) => {
      const r = e.getBoundingClientRect();
      if (r.width === 0 || r.height === 0) return false; // closed, or hidden on purpose
      for (let box = e; box && box !== document.body; box = box.parentElement) {
        const overflow = getComputedStyle(box).overflowX;
        const edge = box.getBoundingClientRect();
        const past = box !== e && (r.right > edge.right + 1.5 || r.left < edge.left - 1.5);
        if (overflow === "auto" || overflow === "scroll") {
          return past && box.scrollWidth <= box.clientWidth + 1;
        }
        if (past && (overflow === "hidden" || overflow === "clip")) return true;
        if (past && box === article) return true;
      }
      return false;
    });
    return lost.slice(0, 8).map((e) => {
      const near = e.closest("[id]")?.id ?? "";
      const text = (e.closest(".math") ?? e).textContent.trim().slice(0, 60);
      return `${e.tagName.toLowerCase()} in #${near}: ${text || e.outerHTML.slice(0, 80)}`;
    });
  });

const result = { pages: {} };
const sizes = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };
const contexts = {};
for (const [name, viewport] of Object.entries(sizes)) {
  contexts[name] = await browser.newContext({ viewport });
}
const shot = async (page, path, kind) => {
  if (!shots) return;
  const file = `${shots}/${path.replaceAll("/", "_").replace(".html", "")}-${kind}.png`;
  await page.screenshot({ path: file, fullPage: true });
};

for (const path of pageList.split(",")) {
  const { page, faults } = await open(contexts.desktop, path);
  const entry = { faults, formulas: await formulas(page), pictures: await pictures(page) };
  entry.buttons = await buttons(page);
  await shot(page, path, "desktop");
  entry.dropdowns = await dropdowns(page); // opens what was closed: so it is looked at, too
  entry.cut = await cut(page);
  for (const [id, tried] of [["#arrows-live", arrows], ["#dcgan-live", dcgan],
    ["#stylegan2-live", stylegan2], ["#digits-live", digits]]) {
    if (!(await page.locator(id).count())) continue;
    entry.live = await tried(page); // differences from torch, latency
    faults.push(...entry.live.faults.map((f) => `live: ${f}`));
  }
  await page.close();

  const phone = await open(contexts.phone, path);
  entry.phone = await phone.page.evaluate(() => ({
    width: innerWidth,
    scrollWidth: document.scrollingElement.scrollWidth,
    wide: [...document.querySelectorAll(".bd-article *")]
      .filter((e) => {
        const right = e.getBoundingClientRect().right;
        let box = e.parentElement;
        while (box && getComputedStyle(box).overflowX === "visible") box = box.parentElement;
        return right > innerWidth + 1 && (!box || box === document.body || box.matches("html"));
      })
      .slice(0, 5)
      .map((e) => e.outerHTML.slice(0, 120)),
  }));
  entry.phone.cut = await cut(phone.page);
  entry.faults.push(...phone.faults.map((f) => `phone: ${f}`));
  await shot(phone.page, path, "phone");
  await phone.page.close();
  result.pages[path] = entry;
}

// Dark mode: the theme button cycles auto, light, dark.
{
  const path = pageList.split(",").at(-1);
  const { page } = await open(contexts.desktop, path);
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  const colour = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  result.dark = { seen: [[await theme(), await colour()]] };
  for (let i = 0; i < 3; i++) {
    await page.locator(".theme-switch-button:visible").first().click();
    result.dark.seen.push([await theme(), await colour()]);
  }
  await page.close();
  const dark = await browser.newContext({ viewport: sizes.desktop, colorScheme: "dark" });
  for (const each of shots ? pageList.split(",") : []) {
    const opened = await open(dark, each);
    await shot(opened.page, each, "dark");
    await opened.page.close();
  }
}

// Search: by the keyboard, as a reader would.
{
  const { page, faults } = await open(contexts.desktop, pageList.split(",")[0]);
  await page.keyboard.press("Control+K");
  const field = page.locator("input[type=search]:visible").first();
  await field.fill("discriminator");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/search.html*", { timeout: 5000 }).catch(() => null);
  const hits = page.locator("#search-results li, .search-results li");
  await hits.first().waitFor({ timeout: 10000 }).catch(() => null);
  result.search = { hits: await hits.count(), faults };
}

await browser.close();
console.log(JSON.stringify(result));
