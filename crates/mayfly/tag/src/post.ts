// The one kind of request that writes.

/**
 * A form in a text: a content type that the browser sends to another origin without asking first.
 * It may outlive the page.
 */
export function post(url: string, body: string): Promise<Response> {
  return fetch(url, { method: "POST", body, credentials: "include", keepalive: true });
}
