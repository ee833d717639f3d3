/** The page's readers and writers, without a browser. */

import assert from 'node:assert/strict';
import test from 'node:test';
import { parse as parseYaml } from 'yaml';

import { parse, toJson } from '../../functions/sse-relay/ui/json.js';
import { toYaml } from '../../functions/sse-relay/ui/yaml.js';

test('JSON keeps numbers, order and escapes as they were sent', () => {
  const sent = String.raw`{"b":1.0,"10":[],"2":{},"id":12345678901234567890,"t":"\u00e9\/\"","l":[1,[true,null]]}`;
  assert.equal(
    toJson(parse(sent)),
    String.raw`{
  "b": 1.0,
  "10": [],
  "2": {},
  "id": 12345678901234567890,
  "t": "\u00e9\/\"",
  "l": [
    1,
    [
      true,
      null
    ]
  ]
}`,
  );
  for (const broken of ['', '{', '{"a":}', '[1,]']) assert.throws(() => parse(broken), SyntaxError);
});

test('YAML is what a person would write', () => {
  const sent = {
    $schema: '/test/event/1.0.0',
    meta: { dt: '2026-01-01T00:00:00Z', stream: 'test.event', uri: 'https://a.test/x?y=1' },
    text: 'two words',
    lines: 'one\n  two\n\nthree\n',
    quoted: ['yes', '', ' a', 'a: b', 'a #b', '- a', '1', '# a', "it's", 'a:'],
    list: [{ a: 1, b: [true, null] }, [], {}, [[1, 2], [3]]],
  };
  assert.equal(
    toYaml(parse(JSON.stringify(sent))),
    `$schema: /test/event/1.0.0
meta:
  dt: "2026-01-01T00:00:00Z"
  stream: test.event
  uri: https://a.test/x?y=1
text: two words
lines: |
  one
    two

  three
quoted:
  - "yes"
  - ""
  - " a"
  - "a: b"
  - "a #b"
  - "- a"
  - "1"
  - "# a"
  - "it's"
  - "a:"
list:
  - a: 1
    b:
      - true
      - null
  - []
  - {}
  - - - 1
      - 2
    - - 3
`,
  );
});

/** Numbers from a seed, so that a failure can be had again. */
function randomFrom(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const PIECES = [
  'a', 'Z', '0', '7', ' ', '  ', '\n', '\n\n', '\t', '\r', ':', ': ', '#', ' #', '-', '- ', '?', '? ', ',', '[', ']', '{', '}',
  '&', '*', '!', '|', '>', '%', '@', '`', '"', "'", '\\', '/', '~', '=', '<<', '---', '...', 'true', 'Null', 'no', 'y', '.inf',
  '0x1f', '1e3', '1_000', '12:30', '2026-01-01', 'é', '日本', '😀', '\u0000', '\u0007', '\u001b', '\u007f', '\u0085', '\u00a0',
  '\u2028', '\u2029', '\ufeff', '\ufffe', '\uffff', '\ud800', '$schema', 'word', '_',
];

function randomText(random) {
  return Array.from({ length: random(6) }, () => PIECES[random(PIECES.length)]).join('');
}

function randomValue(random, depth) {
  const kind = random(depth > 0 ? 8 : 6);
  if (kind < 3) return randomText(random);
  if (kind === 3) return [0, -1, 1.5, 1e21, 1e-7, 42][random(6)];
  if (kind === 4) return [true, false, null][random(3)];
  if (kind === 5) return 'long '.repeat(random(40)) + randomText(random);
  const size = random(4);
  if (kind === 6) return Array.from({ length: size }, () => randomValue(random, depth - 1));
  const members = Array.from({ length: size }, () => [randomText(random), randomValue(random, depth - 1)]);
  return Object.fromEntries(members);
}

test('a reader of YAML reads what was sent, whatever it was', () => {
  for (let seed = 1; seed <= 20_000; seed++) {
    const value = randomValue(randomFrom(seed), 4);
    const text = JSON.stringify(value);
    const yaml = toYaml(parse(text));
    for (const version of ['1.2', '1.1']) {
      const found = parseYaml(yaml, { version, uniqueKeys: false, merge: false, schema: version === '1.1' ? 'yaml-1.1' : 'core' });
      assert.deepEqual(found, JSON.parse(text), `seed ${seed}, YAML ${version}:\n${text}\n${yaml}`);
    }
  }
});

test('a name longer than readers look for a colon is marked as a name', () => {
  const value = { ['long '.repeat(400)]: { a: 1 }, b: 2 };
  assert.deepEqual(parseYaml(toYaml(parse(JSON.stringify(value)))), value);
});
