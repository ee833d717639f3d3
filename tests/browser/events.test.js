/** What the page holds, and its address, without a browser. */

import assert from 'node:assert/strict';
import test from 'node:test';

import { Places } from '../../functions/sse-relay/ui/connection.js';
import * as bounds from '../../functions/sse-relay/ui/events.js';
import { idOf, placeOf, readState, streamUrl, writeState } from '../../functions/sse-relay/ui/state.js';

const { Events, MAX_EVENTS, MAX_CHARACTERS, MAX_WAITING, MAX_WAITING_CHARACTERS } = bounds;
const texts = (events) => events.shown.map(({ text }) => text);

test('the oldest events go where there are too many, and are counted', () => {
  const events = new Events();
  for (let n = 0; n < MAX_EVENTS; n++) events.add(`${n}`);
  assert.equal(events.shown.length, MAX_EVENTS);
  assert.equal(events.forgotten, 0);
  events.add('last');
  assert.equal(events.shown.length, MAX_EVENTS);
  assert.equal(events.shown[0].text, '1');
  assert.equal(events.shown.at(-1).text, 'last');
  assert.deepEqual([events.received, events.forgotten], [MAX_EVENTS + 1, 1]);
});

test('large events take the room of more', () => {
  const events = new Events();
  const large = 'x'.repeat(MAX_CHARACTERS / 4);
  for (let n = 0; n < 5; n++) events.add(large);
  assert.deepEqual([events.shown.length, events.forgotten], [4, 1]);
  events.add('x'.repeat(MAX_CHARACTERS + 1));
  assert.equal(events.shown.length, 1);
});

test('what comes while paused waits, and what is dropped is said', () => {
  const events = new Events();
  events.add('before');
  events.pause();
  for (let n = 0; n < MAX_WAITING + 2; n++) events.add(`${n}`);
  assert.deepEqual(texts(events), ['before']);
  assert.deepEqual([events.waiting, events.dropped, events.received], [MAX_WAITING, 2, MAX_WAITING + 3]);
  events.resume();
  assert.equal(events.shown.length, MAX_WAITING + 2);
  assert.deepEqual([events.waiting, events.dropped], [0, 0]);
  assert.match(events.shown.at(-1).text, /^2 events are missing here/);
  events.pause();
  events.add('x'.repeat(MAX_WAITING_CHARACTERS));
  events.add('y');
  assert.deepEqual([events.waiting, events.dropped], [1, 1]);
});

test('a search shows the events that have the text, also of those to come', () => {
  const events = new Events();
  ['Apple', 'pear'].forEach((text) => events.add(text));
  events.note('said');
  events.find('APP');
  assert.deepEqual(texts(events), ['Apple', 'said']);
  events.add('pineapple');
  assert.deepEqual(texts(events), ['Apple', 'said', 'pineapple']);
  assert.equal(events.toNdjson(), 'Apple\npineapple\n');
  events.find('');
  assert.equal(events.shown.length, 4);
  events.clear();
  assert.deepEqual([events.shown.length, events.received], [0, 0]);
});

test('an address says what is watched, as those of EventStreams do', () => {
  for (const [address, state] of [
    ['#/?streams=a,b', { streams: ['a', 'b'], since: '', filter: '', find: '' }],
    [
      '#/?streams=a&since=-5m&filter=n%3D1+AND+t%3D%22x%22&find=%C3%A9',
      { streams: ['a'], since: '-5m', filter: 'n=1 AND t="x"', find: 'é' },
    ],
    ['#/?find=x', { streams: [], since: '', filter: '', find: 'x' }],
    ['#/', { streams: [], since: '', filter: '', find: '' }],
  ]) {
    assert.deepEqual(readState(address), state);
    assert.equal(writeState(state), address);
  }
  assert.deepEqual(readState('').streams, []);
  assert.deepEqual(readState('#/?streams=').streams, []);
  assert.deepEqual(readState('#/?streams=a,%20b,,a').streams, ['a', 'b']);
  const state = { streams: ['a', 'b c'], since: '2026-01-01T00:00:00Z', filter: 'n=1', find: 'x' };
  assert.equal(streamUrl(state), '../stream/a,b%20c?since=2026-01-01T00%3A00%3A00Z&filter=n%3D1');
  assert.equal(streamUrl({ ...state, since: '', filter: '' }), '../stream/a,b%20c');
});

test('a new connection goes on where the last one stood, and an event that comes again is known', () => {
  const places = new Places();
  assert.equal(places.resume('../stream/a?filter=x'), '../stream/a?filter=x');
  const id = (a, b) =>
    JSON.stringify([
      { topic: 'a', partition: 0, offset: a, timestamp: 1000 + a },
      { topic: 'b', partition: 0, offset: b, timestamp: 2000 + b },
    ]);
  assert.equal(places.take(id(1, 0)), true);
  assert.equal(places.take(id(2, 0)), true);
  assert.equal(places.take(id(2, 1)), true);
  assert.equal(places.lastId, id(2, 1));
  const resumed = new URLSearchParams(places.resume('../stream/a?filter=x&since=5').split('?')[1]);
  assert.deepEqual(Object.fromEntries(resumed), { filter: 'x', since: '5', last_event_id: id(2, 1) });
  assert.equal(places.take(id(1, 0)), false);
  assert.equal(places.take(id(2, 0)), false);
  assert.equal(places.take(id(3, 0)), true);
  assert.equal(places.take(id(3, 1)), false);
  assert.equal(places.take(id(3, 2)), true);
  // A log that begins anew has lower offsets at later times.
  assert.equal(places.take(JSON.stringify([{ topic: 'a', partition: 0, offset: 1, timestamp: 9000 }])), true);
  for (const foreign of ['', 'x', '{}', '7']) assert.equal(places.take(foreign), true);
});

test('an id that no address has room for is a time', () => {
  const places = new Places();
  const logs = Array.from({ length: 128 }, (_, partition) => ({ topic: 'a', partition, offset: 1, timestamp: 2000 + partition }));
  assert.equal(places.take(JSON.stringify(logs)), true);
  assert.equal(places.resume('../stream/a?filter=x&since=5'), '../stream/a?filter=x&since=1999');
  assert.equal(places.take(JSON.stringify(logs)), false);
});

test('a page that is loaded again goes on where it stood, unless it says since when it reads', () => {
  const state = { streams: ['a'], since: '', filter: 'n=1', find: 'x' };
  const place = placeOf(state, '[1]');
  assert.equal(idOf(place, state), '[1]');
  assert.equal(idOf(place, { ...state, find: 'y' }), '[1]');
  for (const other of [{ streams: ['a', 'b'] }, { filter: '' }, { since: '-5m' }]) {
    assert.equal(idOf(place, { ...state, ...other }), '');
  }
  assert.equal(placeOf(state, ''), null);
  assert.equal(placeOf({ ...state, since: '-5m' }, '[1]'), null);
  for (const none of [null, undefined, {}]) assert.equal(idOf(none, state), '');
});
