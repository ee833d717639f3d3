/** Writes YAML 1.2. What a reader could take for something else than the text it is, is quoted. */

/** @typedef {import('./json.js').Node} Node */

/** Texts that are themselves without quotes: no indicator at the start, no `: ` and no ` #`. */
const PLAIN = /^[\p{L}_$/][\p{L}\p{N}_$/.@%&?=+~();!*-]*(?:(?: |:(?=[^\s]))[\p{L}\p{N}_$/.@%&?=+~();!*-]+)*$/u;

/** Texts that readers of YAML 1.2 or 1.1 take for something else. */
const RESERVED = /^(?:true|false|null|yes|no|on|off|y|n)$/i;

/** Characters that must be escaped: YAML calls them not printable, or line breaks. */
const UNPRINTABLE = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g;

/** The longest name that may stand without a `?` before it (7.4.3: 1024 characters). */
const LONGEST_NAME = 1000;

/**
 * @param {Node} node
 * @returns {string} ends with a line break
 */
export function toYaml(node) {
  return `${block(node, '').replace(/^[ \n]/, '')}\n`;
}

/**
 * A value as it stands after `name:` or `-`: on the same line, or below it.
 * @param {Node} node
 * @param {string} indent that of the line it stands on
 */
function block(node, indent) {
  if (node.kind === 'scalar') return ` ${scalar(node.source, indent)}`;
  if (node.kind === 'array') {
    if (!node.items.length) return ' []';
    return node.items.map((item) => `\n${indent}-${compact(item, indent)}`).join('');
  }
  if (!node.members.length) return ' {}';
  return node.members.map(([name, value]) => `\n${indent}${member(name, value, indent)}`).join('');
}

/** An item's members begin on the line of its `-`. */
function compact(item, indent) {
  const text = block(item, `${indent}  `);
  return text.startsWith('\n') ? ` ${text.trimStart()}` : text;
}

function member(name, value, indent) {
  const text = block(value, `${indent}  `);
  const key = flowText(name);
  return key.length > LONGEST_NAME ? `? ${key}\n${indent}:${text}` : `${key}:${text}`;
}

function scalar(source, indent) {
  if (!source.startsWith('"')) return source;
  const text = JSON.parse(source);
  if (!isBlockText(text)) return flowText(text);
  const ends = text.endsWith('\n');
  const lines = (ends ? text.slice(0, -1) : text).split('\n');
  // At the top there is nothing to be deeper than, but a block's lines must be.
  const deeper = indent || '  ';
  const shown = lines.map((line) => (line ? `${deeper}${line}` : ''));
  return [ends ? '|' : '|-', ...shown].join('\n');
}

/** Whether a text can be written line by line: nothing to escape, and no white space that a reader would drop. */
function isBlockText(text) {
  const isPrintable = text.search(UNPRINTABLE) < 0 && !/[\u0000-\u0008\u000b-\u001f]|\p{Cs}/u.test(text);
  return isPrintable && /^[^\s].*\n/.test(text) && !/\n\n$|\n[ \t]+(?:\n|$)/.test(text);
}

function flowText(text) {
  if (PLAIN.test(text) && !RESERVED.test(text)) return text;
  const escape = (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(text).replace(UNPRINTABLE, escape);
}
