// Plays the live figure of chapter 3 and says what is wrong with it.
export async function arrows(page) {
  const faults = [];
  const figure = page.locator("#arrows-live");
  await figure.scrollIntoViewIfNeeded();
  const ready = await page.waitForSelector("#arrows-live[data-ready]", { timeout: 20000 })
    .catch(() => null);
  if (!ready) return { faults: ["the figure of arrows did not start"] };
  const text = () => figure.locator("output").textContent();
  const steps = async () => (await text()).match(/\d+/g).slice(0, 2).map(Number);
  const press = (name) => figure.getByRole("button", { name, exact: true }).click();
  await press("One round");
  await press("20 × only D");
  await press("20 × only G");
  const [d, g] = await steps();
  if (d !== 21 || g !== 21) faults.push(`21 steps of each expected: ${await text()}`);
  await press("Play");
  await page.waitForTimeout(600);
  await press("Stop");
  if ((await steps())[0] <= d) faults.push("Play plays nothing");
  const before = await figure.locator("canvas").evaluate((c) => c.toDataURL());
  await figure.getByLabel("what G follows").check();
  const after = await figure.locator("canvas").evaluate((c) => c.toDataURL());
  if (before === after) faults.push("the two kinds of arrows look the same");
  await press("New start");
  if (!(await text()).startsWith("Steps of D: 0, of G: 0.")) faults.push("no new start");
  return { faults };
}
