/**
 * JSON as it was sent. `JSON.parse` would round long numbers and put members with numeric names first; here every number
 * and every text stays as it is written.
 *
 * @typedef {{kind: 'object', members: [name: string, value: Node][]}} ObjectNode
 * @typedef {{kind: 'array', items: Node[]}} ArrayNode
 * @typedef {{kind: 'scalar', source: string}} ScalarNode source is its JSON text
 * @typedef {ObjectNode | ArrayNode | ScalarNode} Node
 */

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/**
 * @param {string} text a JSON text
 * @returns {Node}
 * @throws {SyntaxError} when it is none
 */
export function parse(text) {
  JSON.parse(text);
  const tokens = text.match(TOKEN) ?? [];
  let at = 0;
  const value = () => {
    const token = tokens[at++];
    if (token === '{') return { kind: 'object', members: list('}', member) };
    if (token === '[') return { kind: 'array', items: list(']', value) };
    return { kind: 'scalar', source: token };
  };
  const member = () => {
    const name = JSON.parse(tokens[at]);
    at += 2;
    return [name, value()];
  };
  const list = (end, read) => {
    const all = [];
    while (tokens[at] !== end) {
      all.push(read());
      if (tokens[at] === ',') at++;
    }
    at++;
    return all;
  };
  return value();
}

/**
 * The text with line breaks and two spaces a level.
 * @param {Node} node
 * @returns {string}
 */
export function toJson(node, indent = '') {
  if (node.kind === 'scalar') return node.source;
  const deeper = `${indent}  `;
  if (node.kind === 'array') {
    if (!node.items.length) return '[]';
    const items = node.items.map((item) => `${deeper}${toJson(item, deeper)}`);
    return `[\n${items.join(',\n')}\n${indent}]`;
  }
  if (!node.members.length) return '{}';
  const members = node.members.map(
    ([name, value]) => `${deeper}${JSON.stringify(name)}: ${toJson(value, deeper)}`,
  );
  return `{\n${members.join(',\n')}\n${indent}}`;
}
