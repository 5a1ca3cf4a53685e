import { describe, expect, it } from 'vitest';
import { createTlsClients } from '../../../src/entry/tls-clients.ts';

function clients() {
  const closed: string[] = [];
  const found = createTlsClients(
    ({ hostname = '' }) => ({ hostname }),
    ({ hostname }) => closed.push(hostname),
  );
  return { closed, found };
}

describe('createTlsClients', () => {
  it('makes one client of equal settings, whichever object holds them', () => {
    const { found } = clients();
    const first = found.clientFor({ hostname: 'a', insecure: true });
    expect(found.clientFor({ insecure: true, hostname: 'a' })).toBe(first);
    expect(found.clientFor({ hostname: 'a' })).not.toBe(first);
  });

  it('closes the one that was used longest ago beyond 64, and opens it again when it is asked for', () => {
    const { closed, found } = clients();
    const settings = Array.from({ length: 64 }, (_, index) => ({ hostname: `h${index}` }));
    for (const tls of settings) found.clientFor(tls);
    const [oldest, second] = settings;
    if (oldest === undefined || second === undefined) throw new Error('there are 64');
    const kept = found.clientFor(oldest);
    found.clientFor({ hostname: 'one more' });
    expect(closed).toEqual(['h1']);
    expect(found.clientFor(oldest)).toBe(kept);
    expect([...found.all]).toHaveLength(64);
    expect(found.clientFor(second).hostname).toBe('h1');
    expect(closed).toEqual(['h1', 'h2']);
  });
});
