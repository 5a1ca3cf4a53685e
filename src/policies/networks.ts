/**
 * Clients that cannot send a key, known by the network that they come from. An address alone proves little, as `localOnly`
 * explains: a proxy in that network speaks for the whole world, and so does a browser there that shows a foreign page, or that
 * was told a foreign name for this machine. Hence the same four checks, by the same lists.
 */
import ipaddr from 'ipaddr.js';
import * as z from 'zod';
import type { Exchange, Identity } from '../exchange.ts';
import { FieldError, textField } from '../fields/text-field.ts';
import { compileGlob } from './glob.ts';
import { isLocalHost } from './local-address.ts';
import { forwardingHeaderIn, sentHostOf } from './localOnly.ts';

export interface Network {
  readonly address: ipaddr.IPv4 | ipaddr.IPv6;
  readonly bits: number;
}

const expected = 'a network such as "192.168.1.0/24" or "fd00::/8", or one address';

/** An IPv4 network written in IPv6 (`::ffff:10.0.0.0/104`) is the IPv4 network. Throws FieldError. */
export function networkOf(text: string): Network {
  const [, addressText = '', bitsText] = /^([0-9a-f.:]+)(?:\/(\d{1,3}))?$/i.exec(text) ?? [];
  const isV4 = ipaddr.IPv4.isValidFourPartDecimal(addressText);
  if (!isV4 && !(addressText.includes(':') && ipaddr.IPv6.isValid(addressText)))
    throw new FieldError(`expected ${expected}, not "${text.slice(0, 100)}"`);
  const address = ipaddr.parse(addressText);
  const mostBits = isV4 ? 32 : 128;
  const bits = bitsText === undefined ? mostBits : Number(bitsText);
  if (bits > mostBits) throw new FieldError(`a network of this kind has ${mostBits} bits at most, not ${bits}`);
  if (bits === 0) throw new FieldError('this is the whole Internet; for a door without a lock use mode: optional');
  if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= 96) {
    return { address: address.toIPv4Address(), bits: Math.max(bits - 96, 1) };
  }
  return { address, bits };
}

export const networksField = z
  .array(textField(expected, networkOf), { error: `expected a list of networks, each ${expected}` })
  .min(1, { error: 'an empty list lets nobody in; leave it out' })
  .max(256, { error: 'at most 256 networks' });

export const hostsField = z.array(z.string().min(1), { error: 'expected a list of host names' }).max(256);

/** One key that stands for networks. */
export interface NetworkKey {
  readonly networks: readonly Network[];
  /** Host names, beside local ones, under which the gateway is asked: `*.example.com` is understood. */
  readonly hosts: readonly string[];
  readonly identity: Identity;
}

/** The key that an exchange without one counts as; a text says why it does not, though it comes from the right place. */
export type NetworkCheck = (exchange: Exchange) => Identity | string | undefined;

/** The first key in the file whose network the client is in. */
export function createNetworkCheck(keys: readonly NetworkKey[]): NetworkCheck {
  const compiled = keys.map(({ networks, hosts, identity }) => ({
    networks,
    identity,
    isNamed: hosts.map((host) => compileGlob(host.trim().toLowerCase())),
  }));
  return (exchange) => {
    const address = addressOf(exchange.peer.address());
    if (address === undefined) return undefined;
    const key = compiled.find(({ networks }) => networks.some((network) => isInside(address, network)));
    if (key === undefined) return undefined;
    const host = sentHostOf(exchange);
    return (
      refusalOf(exchange, isLocalHost(host) || isHomely(host) || key.isNamed.some((matches) => matches(host))) ?? key.identity
    );
  };
}

/** IPv4 inside IPv6 is IPv4, a zone is left out; undefined for what is no address. */
function addressOf(text: string | undefined): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  const bare = text?.split('%', 1)[0] ?? '';
  return ipaddr.isValid(bare) ? ipaddr.process(bare) : undefined;
}

function isInside(address: ipaddr.IPv4 | ipaddr.IPv6, network: Network): boolean {
  return address.kind() === network.address.kind() && address.match(network.address, network.bits);
}

/** Names that no public name server can give away: an address itself, names without a dot, and the home's own domains. */
function isHomely(host: string): boolean {
  if (host.startsWith('[') || ipaddr.IPv4.isValidFourPartDecimal(host)) return true;
  return !host.includes('.') || host.endsWith('.lan') || host.endsWith('.home.arpa');
}

function refusalOf(exchange: Exchange, isKnownHost: boolean): string | undefined {
  const { request } = exchange;
  const forwarding = forwardingHeaderIn(request.headers);
  if (forwarding !== undefined) return `a proxy or tunnel handed it on (it carries ${forwarding})`;
  if (!isKnownHost) {
    const host = sentHostOf(exchange).slice(0, 100);
    return `it asks for the host "${host}", which any web page could do: name it in the key's metadata.hosts`;
  }
  const origin = request.headers.get('origin');
  if (origin !== null && !isOwn(origin, request.headers.get('host'))) return 'it comes from a web page, which needs a key';
  return undefined;
}

function isOwn(origin: string, host: string | null): boolean {
  const lower = origin.toLowerCase();
  return host !== null && (lower === `http://${host.toLowerCase()}` || lower === `https://${host.toLowerCase()}`);
}
