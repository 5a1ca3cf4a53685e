/** `ip`, `isIP`, `cidr`, with Kubernetes' methods. */
import type { Environment } from '@marcbachmann/cel-js';
import ipaddr from 'ipaddr.js';
import { CelFailure } from './expression.ts';
import { sync } from './namespaces.ts';

/** An address. One of IPv4 that is written as IPv6 (`::ffff:10.0.0.1`) counts as what it is. */
export class Ip {
  readonly address: ipaddr.IPv4 | ipaddr.IPv6;

  constructor(address: ipaddr.IPv4 | ipaddr.IPv6) {
    this.address = address;
  }

  toString(): string {
    return this.address.toString();
  }
}

/** An address and how many of its first bits count. */
export class Cidr {
  readonly ip: Ip;
  readonly prefixLength: number;

  constructor(ip: Ip, prefixLength: number) {
    this.ip = ip;
    this.prefixLength = prefixLength;
  }

  contains({ address }: Ip): boolean {
    return address.kind() === this.ip.address.kind() && address.match(this.ip.address as ipaddr.IPv4, this.prefixLength);
  }

  masked(): Cidr {
    const bytes = this.ip.address.toByteArray().map((byte, index) => {
      const bits = Math.min(8, Math.max(0, this.prefixLength - index * 8));
      return byte & (0xff << (8 - bits));
    });
    return new Cidr(new Ip(ipaddr.fromByteArray(bytes)), this.prefixLength);
  }

  toString(): string {
    return `${this.ip}/${this.prefixLength}`;
  }
}

export function registerNet(environment: Environment): void {
  environment.registerType('IP', Ip);
  environment.registerType('CIDR', Cidr);
  environment.registerFunction('ip(string): IP', ipOf, sync);
  environment.registerFunction('isIP(string): bool', (text: string) => addressOf(text) !== undefined, sync);
  environment.registerFunction('cidr(string): CIDR', cidrOf, sync);
  environment.registerOperator('IP == IP', (left: Ip, right: Ip) => `${left}` === `${right}`);
  environment.registerOperator('CIDR == CIDR', (left: Cidr, right: Cidr) => `${left}` === `${right}`);
  environment.registerFunction('string(IP): string', (ip: Ip) => `${ip}`, sync);
  environment.registerFunction('string(CIDR): string', (cidr: Cidr) => `${cidr}`, sync);
  environment.registerFunction('IP.family(): int', ({ address }: Ip) => (address.kind() === 'ipv4' ? 4n : 6n), sync);
  const ranges: Readonly<Record<string, (range: string, ip: Ip) => boolean>> = {
    isUnspecified: (range, { address }) => range === 'unspecified' && address.toByteArray().every((byte) => byte === 0),
    isLoopback: (range) => range === 'loopback',
    isLinkLocalUnicast: (range) => range === 'linkLocal',
    isLinkLocalMulticast: (_, ip) => linkLocalMulticasts.some((net) => net.contains(ip)),
    isGlobalUnicast: (_, ip) => !notGlobal.some((net) => net.contains(ip)),
  };
  for (const [name, holds] of Object.entries(ranges)) {
    environment.registerFunction(`IP.${name}(): bool`, (ip: Ip) => holds(ip.address.range(), ip), sync);
  }
  environment.registerFunction('CIDR.containsIP(string): bool', (cidr: Cidr, text: string) => cidr.contains(ipOf(text)), sync);
  environment.registerFunction('CIDR.containsIP(IP): bool', (cidr: Cidr, ip: Ip) => cidr.contains(ip), sync);
  environment.registerFunction(
    'CIDR.containsCIDR(CIDR): bool',
    (outer: Cidr, inner: Cidr) => outer.prefixLength <= inner.prefixLength && outer.contains(inner.ip),
    sync,
  );
  environment.registerFunction('CIDR.ip(): IP', (cidr: Cidr) => cidr.ip, sync);
  environment.registerFunction('CIDR.masked(): CIDR', (cidr: Cidr) => cidr.masked(), sync);
  environment.registerFunction('CIDR.prefixLength(): int', (cidr: Cidr) => BigInt(cidr.prefixLength), sync);
}

/** Only whole addresses: ipaddr.js also reads `127.1` and `0x7f.1`, which others take for something else. */
function addressOf(text: string): Ip | undefined {
  if (text.length > 64) return undefined;
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return new Ip(ipaddr.IPv4.parse(text));
  if (text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined;
  const address = ipaddr.IPv6.parse(text);
  return new Ip(address.isIPv4MappedAddress() ? address.toIPv4Address() : address);
}

function ipOf(text: string): Ip {
  const ip = addressOf(text);
  if (ip === undefined) throw new CelFailure('this is no IP address');
  return ip;
}

export function cidrOf(text: string): Cidr {
  const [address = '', prefix = '', ...rest] = text.split('/');
  const ip = addressOf(address);
  const bits = ip?.address.kind() === 'ipv4' ? 32 : 128;
  if (ip === undefined || rest.length > 0 || !/^\d{1,3}$/.test(prefix) || Number(prefix) > bits) {
    throw new CelFailure('this is no network such as 10.0.0.0/8');
  }
  return new Cidr(ip, Number(prefix));
}

const linkLocalMulticasts = ['224.0.0.0/24', 'ff02::/16'].map(cidrOf);
/** Private addresses are global here, as in agentgateway and Go. */
const notGlobal = [
  '0.0.0.0/32',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '255.255.255.255/32',
  '::/127',
  'fc00::/7',
  'fe80::/10',
  'ff00::/8',
].map(cidrOf);
