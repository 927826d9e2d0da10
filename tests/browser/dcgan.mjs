// Walks through the live figure of chapter 4 and says what is wrong with it.
export async function dcgan(page) {
  const faults = [];
  const figure = page.locator("#dcgan-live");
  await figure.scrollIntoViewIfNeeded();
  const ready = await page.waitForSelector("#dcgan-live[data-ready]", { timeout: 20000 })
    .catch(() => null);
  if (!ready) return { faults: ["the figure of DCGAN did not start"] };
  const shown = (name) =>
    figure.locator(name).evaluateAll((all) => all.map((c) => c.toDataURL()));
  const film = await shown(".strip canvas");
  const [a, , b] = await shown(".pictures canvas");
  if (new Set(film).size < film.length) faults.push("two frames of the strip are the same");
  if (film[0] !== a || film.at(-1) !== b) faults.push("the strip does not run from A to B");
  await figure.locator(".strip button").nth(2).click();
  const middle = (await shown("figure.middle canvas"))[0];
  if (middle !== film[2]) faults.push("a press on a frame does not show it");
  await figure.getByLabel("straight line").check();
  if ((await shown(".strip canvas"))[4] === film[4]) faults.push("line and arc are the same");
  await figure.getByRole("button", { name: "Two new digits" }).click();
  if ((await shown(".strip canvas"))[0] === film[0]) faults.push("no new digits");
  return { faults };
}
