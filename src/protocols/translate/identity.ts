/** Ids of answers in one protocol from those in another: whoever compares logs finds them again. */

/** 24 random hexadecimal digits, where a server gave no id. */
export function freshId(): string {
  return crypto.randomUUID().replaceAll('-', '').slice(0, 24);
}

/** The id under the other protocol's prefix: `chatcmpl-12` becomes `msg_12`. */
export function idAs(prefix: 'msg_' | 'resp_' | 'chatcmpl-', id: string): string {
  return prefix + id.replace(/^(?:chatcmpl-|msg_|resp_)/, '');
}

export function nowInSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
