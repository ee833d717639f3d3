// What a KV binding of workerd talks to: answers reads from the values in `values.json`.

import values from "./values.json";

export default {
  fetch(request) {
    const key = decodeURIComponent(new URL(request.url).pathname.slice(1));
    const value = values[key];
    return value === undefined ? new Response(null, { status: 404 }) : new Response(value);
  },
};
