/** What the tests of the page share: a browser, streams of one's own, and events for them. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { chromium } from 'playwright-core';

const base = process.env.EVENTSTAR_BASE_URL;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
});

export const close = () => browser.close();

/** A stream that nobody else writes to. */
export const privateStream = () => `job.run.page_${randomUUID().replaceAll('-', '')}`;

/** A complete event of schema `/job/run/1.0.0`. */
export function jobEvent(stream, job) {
  return { $schema: '/job/run/1.0.0', meta: { stream }, dt: '2026-01-01T00:00:00Z', job, attempt: 1 };
}

export async function post(...events) {
  const answer = await fetch(`${base}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(events),
  });
  assert.equal(answer.status, 201, await answer.text());
}

/**
 * Opens the page and runs `use` with it; whatever the browser complains of fails the test.
 * @param {string} hash the part of the address behind `/v2/ui/`
 * @param {(page: import('playwright-core').Page) => Promise<void>} use
 * @param {{width?: number, prefix?: string, origin?: string, allowed?: RegExp}} [options]
 */
export async function onPage(hash, use, { width = 1280, prefix = '', origin = base, allowed } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 800 } });
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !allowed?.test(message.text())) complaints.push(message.text());
  });
  try {
    await use(Object.assign(page, { go: () => page.goto(`${origin}${prefix}/v2/ui/${hash}`) }));
    assert.deepEqual(complaints, []);
  } finally {
    await context.close();
  }
}

/** Waits until an element's text fits. */
export async function says(page, selector, pattern) {
  const locator = page.locator(selector).filter({ hasText: pattern });
  await locator.first().waitFor({ state: 'attached' });
}

/** The events that the page would save. */
export async function downloaded(page) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#download')]);
  const chunks = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk);
  const lines = Buffer.concat(chunks).toString().split('\n');
  assert.equal(lines.pop(), '');
  return lines.map((line) => JSON.parse(line));
}

/**
 * A server that has the page and everything else from the origin under test, but answers the page's connections by itself:
 * one after the other with `answers`, the last of them again and again.
 * @param {...{status?: number, type?: string, body: string, stays?: boolean}} answers those that stay are not ended
 */
export async function standIn(...answers) {
  const requests = [];
  const server = createServer(async (request, response) => {
    if (!request.url.includes('/v2/stream/')) {
      const { status, headers, body } = await fetch(`${base}${request.url}`);
      response.writeHead(status, { 'content-type': headers.get('content-type') });
      Readable.fromWeb(body).pipe(response);
      return;
    }
    requests.push(request);
    const { status = 200, type = 'text/event-stream', body, stays } = answers.length > 1 ? answers.shift() : answers[0];
    response.writeHead(status, { 'content-type': type });
    if (stays) response.write(body);
    else response.end(body);
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  const end = () => {
    server.close();
    server.closeAllConnections();
  };
  return { origin: `http://127.0.0.1:${server.address().port}`, requests, end };
}
