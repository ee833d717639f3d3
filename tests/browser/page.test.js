/** The page to watch streams on, in a browser, against a running Eventstar. */

import assert from 'node:assert/strict';
import test, { after } from 'node:test';

import { close, downloaded, jobEvent, onPage, post, privateStream, says, standIn } from './page.js';

after(close);

test('a thousand events arrive, none is lost, and only what is in sight is in the document', async () => {
  const stream = privateStream();
  await onPage(`#/?streams=${stream}`, async (page) => {
    await page.go();
    await says(page, '#status', `Watching ${stream}`);
    const jobs = Array.from({ length: 1000 }, (_, n) => `job-${n}`);
    for (let n = 0; n < jobs.length; n += 50) {
      await post(...jobs.slice(n, n + 50).map((job) => jobEvent(stream, job)));
    }
    await says(page, '#counts', /^1000 received$/);
    await says(page, '.row', /job: job-999\b/);
    assert.ok((await page.locator('.row').count()) < 60);
    const events = await downloaded(page);
    assert.deepEqual(events.map(({ job }) => job), jobs);
    assert.deepEqual(events.map(({ meta }) => meta.offset), jobs.map((_, n) => n));
    // The oldest is at the end of the list, and stays in sight when others come.
    await page.focus('#list');
    await page.keyboard.press('End');
    await says(page, '.row[aria-selected=true]', /job: job-0\b/);
    await post(jobEvent(stream, 'later'));
    await says(page, '#counts', /^1001 received$/);
    assert.ok(await page.locator('.row', { hasText: /job: job-0\b/ }).isVisible());
    assert.ok((await page.locator('.row').count()) < 60);
    assert.notEqual(await page.locator('#bars').getAttribute('d'), '');
  });
});

test('a paused page keeps what comes, says how much, and shows it when resumed', async () => {
  const stream = privateStream();
  await onPage(`#/?streams=${stream}`, async (page) => {
    await page.go();
    await says(page, '#status', 'Watching');
    await page.click('#pause');
    await post(jobEvent(stream, 'one'), jobEvent(stream, 'two'));
    await says(page, '#pause', 'Resume (2)');
    await says(page, '#counts', '2 waiting');
    assert.equal(await page.locator('.row').count(), 0);
    await page.click('#pause');
    await says(page, '.row', 'job: one');
    assert.deepEqual((await downloaded(page)).map(({ job }) => job), ['one', 'two']);
  });
});

test('the text that is looked for leaves out other events, and is part of the address', async () => {
  const stream = privateStream();
  await post(jobEvent(stream, 'apple'), jobEvent(stream, 'pear'), jobEvent(stream, 'pineapple'));
  await onPage(`#/?streams=${stream}&since=2020-01-01T00:00:00Z`, async (page) => {
    await page.go();
    await says(page, '#counts', /^3 received$/);
    await page.fill('#find', 'APPLE');
    await says(page, '#counts', /^3 received · 2 shown$/);
    assert.deepEqual((await downloaded(page)).map(({ job }) => job), ['apple', 'pineapple']);
    await page.reload();
    await says(page, '#counts', /^3 received · 2 shown$/);
    assert.equal(await page.inputValue('#find'), 'APPLE');
    assert.equal(await page.inputValue('#since'), '2020-01-01T00:00:00Z');
    await says(page, '.chip', stream);
    await page.click('#clear');
    await says(page, '#counts', /^0 received$/);
  });
});

test('a page that is loaded again goes on where it stood', async () => {
  const stream = privateStream();
  await onPage(`#/?streams=${stream}`, async (page) => {
    await page.go();
    await says(page, '#status', `Watching ${stream}`);
    await post(jobEvent(stream, 'before'));
    await says(page, '#counts', /^1 received$/);
    await page.goto('about:blank');
    await post(jobEvent(stream, 'missed'));
    await page.goBack();
    await says(page, '#counts', /^1 received$/);
    assert.deepEqual((await downloaded(page)).map(({ job }) => job), ['missed']);
    await page.reload();
    await says(page, '#status', `Watching ${stream}`);
    await post(jobEvent(stream, 'after'));
    await says(page, '#counts', /^1 received$/);
    assert.deepEqual((await downloaded(page)).map(({ job }) => job), ['after']);
    // A link has no place in it.
    assert.ok(page.url().endsWith(`#/?streams=${stream}`));
  });
});

test('an event is shown as it was sent, as JSON and as YAML, and copied', async () => {
  const stream = privateStream();
  await post({ ...jobEvent(stream, 'two\nlines'), params: { '10': 'yes', '2': [1, { a: null }] } });
  await onPage(`#/?streams=${stream}&since=2020-01-01T00:00:00Z`, async (page) => {
    await page.go();
    await page.click('.row');
    await says(page, '#text', '"job": "two\\nlines"');
    assert.match(await page.innerText('#text'), /"params": \{\s+"10": "yes",|"params": \{\s+"2"/);
    await page.click('[data-form=yaml]');
    await says(page, '#text', 'job: |-');
    await page.click('.copy');
    await says(page, '#status', 'Copied');
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(copied, /^\$schema: \/job\/run\/1\.0\.0\nmeta:\n  stream: /);
    assert.match(copied, /\njob: \|-\n  two\n  lines\nattempt: 1\n/);
    await page.focus('[data-form=yaml]');
    await page.keyboard.press('ArrowLeft');
    await says(page, '#text', '"attempt": 1');
    await page.keyboard.press('Escape');
    assert.ok(await page.locator('#detail').isHidden());
  });
});

test('everything can be done with the keyboard', async () => {
  await onPage('', async (page) => {
    await page.go();
    await says(page, '.streams label', 'shop.order');
    const press = (...keys) => keys.reduce((done, key) => done.then(() => page.keyboard.press(key)), Promise.resolve());
    const focused = (selector) => page.locator(`${selector}:focus`).waitFor();
    assert.ok(await page.isDisabled('#start'));
    await press('/');
    await focused('#search');
    await page.keyboard.type('test.ev');
    await press('ArrowDown');
    await focused('.streams input[value="test.event"]');
    await press('Space');
    await says(page, '.chip', 'test.event');
    assert.equal(new URL(page.url()).hash, '#/?streams=test.event');
    await press('w');
    await says(page, '#status', 'Watching test.event');
    const event = (text) => ({ $schema: '/test/event/1.0.0', meta: { stream: 'test.event' }, test: text });
    await post(event('first'), event('second'));
    await says(page, '.row', 'test: second');
    await press('l');
    await focused('#list');
    await press('ArrowDown', 'Enter');
    await says(page, '#text', '"test.event"');
    const active = await page.getAttribute('#list', 'aria-activedescendant');
    assert.equal(await page.getAttribute(`#${active}`, 'aria-selected'), 'true');
    await press('Escape', 'p');
    await says(page, '#pause[aria-pressed=true]', 'Resume');
    await press('p', 'c');
    await says(page, '#counts', /^0 received$/);
    await press('w');
    await says(page, '#status', 'Stopped');
    await press('?');
    await page.locator('#shortcuts[open]').waitFor();
    await press('Escape');
    await page.locator('#shortcuts').waitFor({ state: 'hidden' });
    // A name that no listed stream has can be added, as a regex of the config may match it.
    await press('/');
    await page.keyboard.type('job.run.by_hand');
    await press('Enter');
    await says(page, '.chip', 'job.run.by_hand');
  });
});

const ID = JSON.stringify([{ topic: 't', partition: 0, offset: 3, timestamp: 5001 }]);
const frame = (kind, data) => `event: ${kind}\nid: ${ID}\ndata: ${JSON.stringify(data)}\n\n`;

/** Waits until a stand-in has been asked so often. */
async function asked(page, { requests }, times) {
  while (requests.length < times) await page.waitForTimeout(20);
}

test('a connection that ends goes on by its id, and what the server says is shown', async () => {
  const body = [
    ':ok\n\nretry: 10\n\n',
    frame('message', { n: 1, meta: { stream: 't' } }),
    frame('gap', { type: 'gap', reason: 'expired', topic: 't', partition: 0, from: { offset: 3 }, to: { offset: 8 } }),
    frame('error', { message: 'too slow' }),
  ].join('');
  const server = await standIn({ body }, { body: ':ok\n\n', stays: true });
  await onPage('#/?streams=t&filter=n%3D1', async (page) => {
    await page.go();
    await says(page, '.row.note', 'Events are missing here: t, partition 0, from offset 3 to 8 (expired)');
    await says(page, '.row.note', 'The server says: too slow');
    await says(page, '#counts', /^1 received$/);
    await asked(page, server, 2);
    await says(page, '#status', 'Watching t');
    assert.equal(server.requests[0].url, '/v2/stream/t?filter=n%3D1');
    assert.equal(server.requests[1].headers['last-event-id'], ID);
  }, server).finally(server.end);
});

test('a stream that is at its end is not opened again', async () => {
  const body = `retry: 10\n\n${frame('message', { n: 1 })}${frame('end', { reason: 'until' })}`;
  const server = await standIn({ body });
  await onPage('#/?streams=t', async (page) => {
    await page.go();
    await says(page, '#status', 'The stream is at its end: until');
    await says(page, '#counts', /^1 received$/);
    await says(page, '#start', 'Watch');
    assert.equal(server.requests.length, 1);
  }, server).finally(server.end);
});

const refusal = (status, detail) => ({ status, type: 'application/json', body: JSON.stringify({ detail }) });
const allowed = /Failed to load resource/;

test('a refusal says why', async () => {
  const server = await standIn(refusal(400, 'filter: ends too early'));
  await onPage('#/?streams=t&filter=n%3D', async (page) => {
    await page.go();
    await says(page, '#status', 'The server refuses this: filter: ends too early');
    await says(page, '#start', 'Watch');
  }, { ...server, allowed }).finally(server.end);
});

test('a refusal that may pass is followed by a connection from where the page stood', async () => {
  const event = frame('message', { n: 1 });
  const busy = refusal(503, 'try again');
  const server = await standIn({ body: `retry: 10\n\n${event}` }, busy, busy, { body: event, stays: true });
  await onPage('#/?streams=t', async (page) => {
    await page.go();
    await says(page, '#status', 'connecting again: try again');
    await asked(page, server, 4);
    await says(page, '#status', 'Watching t');
    assert.equal(server.requests[3].url, `/v2/stream/t?${new URLSearchParams({ last_event_id: ID })}`);
    // This server sends the event once more.
    await says(page, '#counts', /^1 received$/);
  }, { ...server, allowed }).finally(server.end);
});

test('the page fits a phone, and works below the name of its function', async () => {
  const stream = privateStream();
  await onPage(`#/?streams=${stream}`, async (page) => {
    await page.go();
    await says(page, '#status', 'Watching');
    await post(jobEvent(stream, 'a long name '.repeat(10)));
    await page.locator('.row').click();
    await says(page, '#text', 'a long name');
    await page.click('#detail .close');
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 390);
  }, { width: 390, prefix: '/sse-relay' });
});
