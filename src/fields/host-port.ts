/** `host:port`, as agentgateway writes targets: `localhost:11434`, `192.168.1.100:11434`, `[::1]:11434`. No scheme, no path. */
import { FieldError, textField } from './text-field.ts';

export interface HostPort {
  /** In lower case; an IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number;
  /** `host:port`, an IPv6 address in brackets: what follows `http://` in a URL. */
  readonly authority: string;
}

const expected = '"host:port", such as "localhost:11434"';

/** Throws FieldError for anything that is not a host and a port. `minPort` 0 is for addresses to listen on: any free port. */
export function hostPortOf(text: string, minPort: 0 | 1 = 1): HostPort {
  if (text.startsWith('unix:'))
    throw new FieldError(
      'Unix sockets are known to agentgateway, not supported: not every runtime has them; listen on a port of localhost',
    );
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text)?.[0];
  if (scheme !== undefined) throw new FieldError(`expected ${expected}: leave out the "${scheme}"${tlsAdvice(scheme)}`);
  const match = /^(?:\[([0-9a-f:.]+)\]|([^\s:/?#@[\]%]+))(?::(\d*))?$/i.exec(text);
  if (match === null) throw new FieldError(`expected ${expected}, not "${text.slice(0, 200)}"`);
  const portText = match[3] ?? '';
  if (portText === '') throw new FieldError(`expected ${expected}: the port is missing in "${text.slice(0, 200)}"`);
  const port = Number(portText);
  if (port < minPort || port > 65_535)
    throw new FieldError(`a port is a number from ${minPort} to 65535, not ${portText.slice(0, 20)}`);
  const host = (match[1] ?? match[2] ?? '').toLowerCase();
  const authority = match[1] === undefined ? `${host}:${port}` : `[${host}]:${port}`;
  if (!URL.canParse(`http://${authority}`)) throw new FieldError(`"${host.slice(0, 200)}" is no host name and no IP address`);
  return { host, port, authority };
}

function tlsAdvice(scheme: string): string {
  return scheme.toLowerCase() === 'https://' ? '; for TLS add the policy backendTLS' : '';
}

/** A target in the YAML. Output: HostPort. */
export const hostPortField = textField(expected, hostPortOf, 'host:port');
