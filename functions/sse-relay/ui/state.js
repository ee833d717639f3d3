/**
 * What is watched, as the address of the page has it: `#/?streams=a,b&since=…&filter=…&find=…`. The first is EventStreams'.
 *
 * @typedef {object} State
 * @property {string[]} streams names of streams
 * @property {string} since where to start; empty for what comes next
 * @property {string} filter which events the server is to send; empty for all
 * @property {string} find which of those are shown: the ones that have this text
 */

/** @param {string} hash @returns {State} */
export function readState(hash) {
  const at = hash.indexOf('?');
  const parameters = new URLSearchParams(at < 0 ? '' : hash.slice(at + 1));
  const text = (name) => parameters.get(name) ?? '';
  const streams = text('streams').split(',').map((name) => name.trim());
  return {
    streams: [...new Set(streams.filter(Boolean))],
    since: text('since'),
    filter: text('filter'),
    find: text('find'),
  };
}

/** @param {State} state */
export function writeState({ streams, since, filter, find }) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries({ since, filter, find })) {
    if (value) parameters.set(name, value);
  }
  // Commas stay commas: people read and write these addresses.
  const list = streams.length ? `streams=${streams.map(encodeURIComponent).join(',')}` : '';
  const query = [list, String(parameters)].filter(Boolean).join('&');
  return query ? `#/?${query}` : '#/';
}

/**
 * Where the events are read, relative to the page: it may stand below a prefix.
 * @param {State} state
 */
export function streamUrl({ streams, since, filter }) {
  const parameters = new URLSearchParams();
  if (since) parameters.set('since', since);
  if (filter) parameters.set('filter', filter);
  const query = parameters.size ? `?${parameters}` : '';
  return `../stream/${streams.map(encodeURIComponent).join(',')}${query}`;
}

/**
 * Where a page stands, to be kept until it is loaded again. One that says since when it reads begins there again: what it
 * has shown comes once more.
 *
 * @typedef {{url: string, id: string}} Place
 * @param {State} state
 * @param {string} id of the last event; empty where none came
 * @returns {Place | null}
 */
export function placeOf(state, id) {
  return id && !state.since ? { url: streamUrl(state), id } : null;
}

/**
 * The id to go on from: that of the place, if it is one of what is watched.
 * @param {Place | null | undefined} place
 * @param {State} state
 */
export function idOf(place, state) {
  return place?.url === streamUrl(state) ? place.id : '';
}
