// What would take many calls between JavaScript and WASM, in few: each text that crosses is decoded or encoded by itself, and
// each promise that WASM waits for costs two closures and a microtask.

/**
 * Serves a request: `answer` gets its head and its whole body, and gives the answer or a promise of it. The head is the
 * method, the URL, and the name and the value of each header, a line each: none of them can hold a line break.
 *
 * The runtime holds the client to the length it announced, so a body of known length is read at once. A body of unknown
 * length, or of one over `limit`, is left to `answer`, which gets `undefined` for it.
 */
export async function serve(request, env, context, limit, answer) {
  let length = NaN;
  let text = `${request.method}\n${request.url}`;
  request.headers.forEach((value, name) => {
    // Cloudflare puts what it takes itself in place of what the client takes.
    if (name === "accept-encoding") value = request.cf?.clientAcceptEncoding ?? "";
    text += `\n${name}\n${value}`;
    if (name === "content-length") length = Number(value);
  });
  let body;
  if (length <= limit) {
    try {
      body = await request.bytes();
    } catch {
      // A client that went, or lied about its length.
      return new Response(null, { status: 400 });
    }
  }
  return answer(text, body, request, env, context);
}

/** An answer. The runtime would encode a body once more that has `content-encoding` and is not said to be encoded. */
export function respond(status, headers, body, encoded) {
  return new Response(body, { status, headers, encodeBody: encoded ? "manual" : "automatic" });
}

/** A client of the Durable Object `name`; `undefined` when nothing is bound as `namespace`. */
export function stub(env, namespace, name) {
  return env[namespace]?.getByName(name);
}

/** Sends a request to a Durable Object. */
export function send(stub, method, url, body) {
  return stub.fetch(url, { method, body });
}

/** The same, for the status and the whole body of the answer. */
export async function ask(stub, method, url, body) {
  const answer = await stub.fetch(url, { method, body });
  return [answer.status, await answer.bytes()];
}

/**
 * Asks another server. Resolves to the status, the headers and the body of the answer, or to `undefined` when the body has more
 * than `limit` bytes; rejects with a `TimeoutError` when that takes longer. The headers are the name and the value of each, a
 * line each.
 */
export async function exchange(url, method, headers, body, milliseconds, limit) {
  const signal = AbortSignal.timeout(milliseconds);
  const answer = await fetch(url, { method, headers, body, redirect: "manual", signal });
  const pieces = [];
  let size = 0;
  // Leaving the loop early cancels the body.
  for await (const piece of answer.body ?? []) {
    size += piece.length;
    if (size > limit) return undefined;
    pieces.push(piece);
  }
  const lines = [...answer.headers].flat();
  return [answer.status, lines.join("\n"), new Uint8Array(await new Blob(pieces).arrayBuffer())];
}
