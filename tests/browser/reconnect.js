/**
 * Two readers of one stream that reconnect by themselves: the `EventSource` of Chromium, and the npm package. Prints a line
 * `READER open`, and `READER N` for each event, of which N is the attempt; ends with its input.
 *
 * Usage: node reconnect.js URL
 */

import { EventSource } from 'eventsource';
import { chromium } from 'playwright-core';

const url = process.argv[2];

/** Reads `url` with a constructor of event sources, and tells `say`. */
function read(Source, url, say) {
  const source = new Source(url);
  source.onopen = () => say('open');
  source.onmessage = ({ data }) => say(String(JSON.parse(data).attempt));
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
});
const page = await browser.newPage();
await page.goto(new URL('/robots.txt', url).href);
await page.exposeFunction('say', (word) => console.log(`chromium ${word}`));
await page.evaluate(`(${read})(EventSource, ${JSON.stringify(url)}, say)`);
read(EventSource, url, (word) => console.log(`package ${word}`));

for await (const _ of process.stdin);
await browser.close();
process.exit();
