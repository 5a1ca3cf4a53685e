/** Which addresses and host names mean this machine or its network, as Ollama judges them (Ollama server/routes.go `allowedHost`). */

/** 4 or 16 bytes; an IPv4 address inside IPv6 (`::ffff:127.0.0.1`) as its 4. */
type IpBytes = readonly number[];

/** True for 127.0.0.0/8 and ::1, however they are written. */
export function isLoopbackAddress(address: string): boolean {
  if (address === '127.0.0.1' || address === '::1') return true;
  const bytes = ipBytesOf(address);
  return bytes !== undefined && isLoopback(bytes);
}

/**
 * Whether a Host (lower case, without port) is a local name: `localhost`, `*.localhost`, `*.local`, `*.internal`, or an IP
 * literal that is loopback, private or unspecified. An empty Host (HTTP/1.0) is let through, as Ollama does: browsers, which
 * this is about, always send one. `localhost.` with a dot at its end is not the same name.
 */
export function isLocalHost(host: string): boolean {
  if (host === 'localhost' || host === '127.0.0.1' || host === '') return true;
  const bytes = ipBytesOf(host);
  if (bytes !== undefined) return isLoopback(bytes) || isPrivate(bytes) || bytes.every((byte) => byte === 0);
  return host.endsWith('.localhost') || host.endsWith('.local') || host.endsWith('.internal');
}

function isLoopback(bytes: IpBytes): boolean {
  if (bytes.length === 4) return bytes[0] === 127;
  return bytes[15] === 1 && bytes.slice(0, 15).every((byte) => byte === 0);
}

/** RFC 1918 and fc00::/7. Not 169.254/16 nor 100.64/10: Ollama leaves these out, and so does this. */
function isPrivate([first = 0, second = 0, ...rest]: IpBytes): boolean {
  if (rest.length > 2) return (first & 0xfe) === 0xfc;
  return first === 10 || (first === 172 && second >= 16 && second <= 31) || (first === 192 && second === 168);
}

/** The bytes of an IP address, brackets and zone left out; undefined for anything else. */
function ipBytesOf(text: string): IpBytes | undefined {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  if (!bare.includes(':')) return ipv4BytesOf(bare);
  const bytes = ipv6BytesOf(bare.split('%', 1)[0] ?? '');
  const isMapped = bytes?.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  return isMapped ? bytes?.slice(12) : bytes;
}

function ipv4BytesOf(text: string): IpBytes | undefined {
  const parts = text.split('.');
  // No leading zeros: some read 010.0.0.1 as 8.0.0.1.
  const isAddress = parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
  return isAddress ? parts.map(Number) : undefined;
}

function ipv6BytesOf(text: string): IpBytes | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map(groupBytesOf);
  if (head === undefined) return undefined;
  if (halves.length === 1) return head.length === 16 ? head : undefined;
  if (tail === undefined || head.length + tail.length > 14) return undefined;
  return [...head, ...new Array<number>(16 - head.length - tail.length).fill(0), ...tail];
}

/** `a:b:1.2.3.4` → bytes; an empty half has none. */
function groupBytesOf(text: string): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [index, group] of groups.entries()) {
    const ipv4 = index === groups.length - 1 ? ipv4BytesOf(group) : undefined;
    if (ipv4 !== undefined) bytes.push(...ipv4);
    else if (/^[0-9a-f]{1,4}$/i.test(group)) bytes.push(Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff);
    else return undefined;
  }
  return bytes;
}
